#!/usr/bin/env bash
# Installs what the project needs on Debian 12, Ubuntu 24.04 or newer:
#   scripts/setup.sh [demo|test|dev|package] [torch] [museval] [voices]
#   demo     what building and running vqcodec needs
#   test     that, and what the tests need
#   dev      that, and Clang for fuzzing, formatting and linting
#   package  what test needs, and what packing needs
#   torch    also LibTorch, into .venv, unless scripts/find_torch.sh finds one
#   museval  also museval, into .venv-eval, which vqeval sdr is tested against
#   voices   also espeak-ng and Festival with its free voices, which vqdata sings with
# Does nothing where nothing is missing. SETUP=off leaves the machine as it is.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
torch_version=2.13.0
museval_version=0.4.1

build_packages=(
  ca-certificates ccache cmake g++ make ninja-build pkg-config
  libavcodec-dev libavformat-dev libavutil-dev libebur128-dev libfluidsynth-dev libsndfile1-dev libsoxr-dev
  libboost-program-options-dev libeigen3-dev libkissfft-dev libopus-dev libssl-dev libyaml-cpp-dev libzstd-dev
  nlohmann-json3-dev)
test_packages=(espeak-ng ffmpeg g++-aarch64-linux-gnu git libgmock-dev libgtest-dev python3 qemu-user)
venv_packages=(python3 python3-venv)  # for torch and museval
dev_packages=(clang clang-format clang-tidy libclang-rt-dev)
pack_packages=(dpkg-dev file)
voice_packages=(espeak-ng festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts)

say() { printf '== %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo here; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300)
  # A fresh container has no package lists, and an old machine's name files that the mirror no longer has.
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || "${apt[@]}" update
  "${apt[@]}" install --no-install-recommends "${missing[@]}" || {
    "${apt[@]}" update
    "${apt[@]}" install --no-install-recommends "${missing[@]}"
  }
}

has_nvidia_gpu() { [ -e /dev/nvidia0 ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }; }

install_torch() {
  local venv=$root/.venv
  say "installing LibTorch $torch_version into $venv"
  [ -x "$venv/bin/pip" ] || python3 -m venv --clear "$venv"
  # The index of pip's own settings has one build of each version; its CPU build is asked for first, by its name.
  # TORCH_INDEX_URL names another index, which holds the build that is wanted.
  local pip=("$venv/bin/pip" --disable-pip-version-check install --quiet)
  if [ -n "${TORCH_INDEX_URL:-}" ]; then
    "${pip[@]}" --index-url "$TORCH_INDEX_URL" "torch==$torch_version"
  elif has_nvidia_gpu; then
    "${pip[@]}" "torch==$torch_version"
  else
    "${pip[@]}" "torch==$torch_version+cpu" 2>/dev/null || "${pip[@]}" "torch==$torch_version"
  fi
}

install_museval() {
  local venv=$root/.venv-eval
  ! "$venv/bin/python" -c "import museval.version as v; assert v._version == '$museval_version'" 2>/dev/null || return 0
  say "installing museval $museval_version into $venv"
  [ -x "$venv/bin/pip" ] || python3 -m venv --clear "$venv"
  "$venv/bin/pip" --disable-pip-version-check install --quiet "museval==$museval_version" ||
    say "museval $museval_version could not be installed: the comparison with it is left out"
}

what=${1:-demo}
[ $# -eq 0 ] || shift
torch=no museval=no voices=no
for extra in "$@"; do
  case $extra in
    torch) torch=yes ;;
    museval) museval=yes ;;
    voices) voices=yes ;;
    *) fail "unknown word '$extra': torch, museval or voices" ;;
  esac
done
packages=("${build_packages[@]}")
case $what in
  demo) ;;
  test) packages+=("${test_packages[@]}") ;;
  dev) packages+=("${test_packages[@]}" "${dev_packages[@]}") ;;
  package) packages+=("${test_packages[@]}" "${pack_packages[@]}") ;;
  *) fail "unknown set '$what': demo, test, dev or package" ;;
esac
[ "$voices" = no ] || packages+=("${voice_packages[@]}")
[ "$torch$museval" = nono ] || packages+=("${venv_packages[@]}")

if [ "${SETUP:-on}" = off ]; then
  say "SETUP=off: nothing is installed"
  exit 0
fi
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_packages "${packages[@]}"
else
  say "no apt-get here: install what the Debian packages ${packages[*]} hold, if it is not there yet"
fi
cmake_version=$(cmake --version | sed -n '1s/[^0-9]*//p')
if [ "$(printf '%s\n' 3.25 "$cmake_version" | sort -V | head -n 1)" != 3.25 ]; then
  fail "CMake $cmake_version is too old, 3.25 is needed: Debian 12, Ubuntu 24.04 or newer has it"
fi
if [ "$torch" = yes ] && ! "$root/scripts/find_torch.sh" >/dev/null; then
  install_torch
  "$root/scripts/find_torch.sh" >/dev/null || fail "LibTorch was installed but is not found in $root/.venv"
fi
[ "$museval" = no ] || install_museval
