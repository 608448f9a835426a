#!/usr/bin/env bash
# The self-test of the prior and of all kernels, and lines drawn from a prior, on 64-bit Arm: compiled by a cross compiler, run by QEMU on both of its
# paths: aarch64_test.sh JSON_INCLUDE_DIR
set -eu
json_include=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
cxx=aarch64-linux-gnu-g++
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [ -z "$emulator" ] || ! command -v "$cxx" >/dev/null; then
  echo "[  SKIPPED ] Aarch64.GivesTheBitsWrittenDown (needs g++-aarch64-linux-gnu and qemu-user)"
  exit 77
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/include"
ln -s "$json_include/nlohmann" "$dir/include/nlohmann" # the folder itself has headers of this machine, too
compile="$cxx"
! command -v ccache >/dev/null || compile="ccache $cxx"

# All that the self-test needs; sha256_plain.cc stands for runtime/sha256.cc, whose library is not there for Arm.
sources=(
  base/atomic_file.cc base/counter_random.cc base/format.cc base/interrupt.cc codec/cdf.cc codec/result.cc vqvae/config.cc
  generate/{line,sampler,tones}.cc
  prior/{config,model,network,predictor,random_prior,selftest}.cc
  runtime/{attention,cpu,linear,nearest,ops,rotary,safetensors,thread_pool,turns}.cc
  tests/prior/print_selftest.cc tests/prior/sha256_plain.cc)
kernels=(runtime/kernels_portable.cc runtime/kernels_neon.cc)
flags="-std=c++20 -ffp-contract=off -I$source -I$dir/include"
for file in "${sources[@]}"; do echo "-O1 $file"; done >"$dir/list"
for file in "${kernels[@]}"; do echo "-O3 -fno-math-errno -fno-trapping-math $file"; done >>"$dir/list"
while read -r line; do
  file=${line##* }
  printf '%s %s %s -c %s -o %s\0' "$compile" "$flags" "${line% *}" "$source/$file" "$dir/${file//\//_}.o"
done <"$dir/list" | xargs -0 -n 1 -P 2 sh -c
$cxx -static "$dir"/*.o -o "$dir/selftest" -pthread

run() { # path
  VQCODEC_CPU=$1 "$emulator" "$dir/selftest" >"$dir/$1" || {
    echo "on $1:" && cat "$dir/$1"
    return 1
  }
  grep -c "^$1 " "$dir/$1" | grep -qx 20 || { echo "$1: not 20 checks" && return 1; }
}
run portable
run neon
echo "[       OK ] Aarch64.GivesTheBitsWrittenDown (portable, neon under $emulator)"
