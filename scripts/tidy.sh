#!/usr/bin/env bash
# Lints every source file that the build without LibTorch has: scripts/tidy.sh [file...]
set -eu
cd "$(dirname "$0")/.."
cmake --preset release-notorch >/dev/null
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files '*.cc' | grep -F -x -f <(
    sed -n "s|^  \"file\": \"$PWD/\(.*\)\".*|\1|p" build/release-notorch/compile_commands.json))
fi
printf '%s\n' "${files[@]}" | xargs -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' -p build/release-notorch
