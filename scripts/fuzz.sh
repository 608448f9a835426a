#!/usr/bin/env bash
# Runs every fuzzer, two at a time, for so many seconds each: scripts/fuzz.sh [seconds] [fuzzer...]. New inputs are kept in
# build/fuzz/corpus; findings are put into build/fuzz/findings, and there the command ends with 1.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
fuzzers=("$@")
if [ ${#fuzzers[@]} -eq 0 ]; then
  for program in build/fuzz/fuzz/*_fuzz; do fuzzers+=("$(basename "$program")"); done
fi

run_one() {
  local fuzzer=$1
  local corpus=build/fuzz/corpus/$fuzzer findings=build/fuzz/findings/$fuzzer
  mkdir -p "$corpus" "$findings"
  local seeds=()
  for folder in "tests/data/corpus/$fuzzer" "tests/data/corpus/${fuzzer%_fuzz}"; do
    [ ! -d "$folder" ] || seeds+=("$folder")
  done
  if build/fuzz/fuzz/"$fuzzer" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$findings/" "$corpus" "${seeds[@]}" >"build/fuzz/$fuzzer.log" 2>&1; then
    printf '%-24s %s s, %s runs, no finding\n' "$fuzzer" "$seconds" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$fuzzer.log")"
  else
    printf '%-24s FINDING, see build/fuzz/%s.log and %s\n' "$fuzzer" "$fuzzer" "$findings"
    return 1
  fi
}
export -f run_one
export seconds
printf '%s\n' "${fuzzers[@]}" | xargs -n 1 -P "$(nproc)" bash -c 'run_one "$1" || exit 1' run_one
