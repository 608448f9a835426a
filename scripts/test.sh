#!/usr/bin/env bash
# Sets up, builds everything and runs the tests: scripts/test.sh [on|off], where off leaves the training tests, and so
# LibTorch, out. Fails on a test that fails, and on one that is skipped for no reason known here.
set -eu
cd "$(dirname "$0")/.."
case ${1:-on} in
  on) torch=torch preset=release ;;
  off) torch='' preset=release-notorch ;;
  *)
    echo "TORCH=$1: expected on or off" >&2
    exit 1
    ;;
esac

scripts/setup.sh test $torch museval
cmake --preset "$preset"
cmake --build --preset "$preset"

# Tests that may be skipped, each with its reason. Everything else has to run.
allowed_skips=()
cpu_has() { grep -qw "$1" /proc/cpuinfo 2>/dev/null; }
[ -e /dev/nvidia0 ] || allowed_skips+=('.*Cuda.*')    # there is no NVIDIA GPU
cpu_has avx512vl || allowed_skips+=('.*/avx512')      # the CPU has no AVX-512
cpu_has avx2 || allowed_skips+=('.*/avx2')            # nor AVX2
# There is no compiler or no emulator for 64-bit Arm.
{ command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64; } >/dev/null || allowed_skips+=('Aarch64[.].*')
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || allowed_skips+=('Tree[.].*') # it is about what git has
.venv-eval/bin/python -c 'import museval' 2>/dev/null || allowed_skips+=('Museval[.].*') # setup.sh could not install it

status=0
ctest --preset "$preset" -j "$(nproc)" || status=$?

# GoogleTest counts a program with skipped tests as passed, so its own lines are read.
log=build/$preset/Testing/Temporary/LastTest.log
skipped=$(sed -n 's/^\[  SKIPPED \] \([^ ,]*\.[^ ,]*\).*/\1/p' "$log" | sort -u)
unexpected=$skipped
for pattern in "${allowed_skips[@]}"; do
  unexpected=$(grep -vxE "$pattern" <<<"$unexpected" || true)
done
echo
[ -z "$skipped" ] || printf 'skipped: %s\n' $skipped
if [ -n "$unexpected" ]; then
  printf 'error: skipped without a known reason: %s\n' $unexpected >&2
  status=1
fi
[ -n "$torch" ] || echo "left out: training tests (TORCH=off)"
exit "$status"
