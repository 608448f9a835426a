#!/usr/bin/env bash
# Only the training folders and vqtrain see LibTorch: torch_free_test.sh [PROGRAM...], programs that must not load it.
set -eu
cd "$(dirname "$0")/../.."
status=0
folders=(apps audio base codec dataset eval generate prior runtime tests vqvae)
may_see='^(apps/vqtrain\.cc|(vqvae|prior)/train/|tests/vqvae/(network|sound|trainer|device_mixer)_test\.cc|tests/prior/train/(network|trainer)_test\.cc)'

# Sources that include LibTorch, outside of the folders that may.
includes=$(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"](torch|ATen|c10|caffe2)/' \
  --include='*.h' --include='*.cc' "${folders[@]}" | grep -vE "$may_see" || true)
[ -z "$includes" ] || { printf 'LibTorch outside of train/:\n%s\n' "$includes" && status=1; }

# The way around: a header of train/ which itself includes LibTorch.
for header in $(grep -lE '#[[:space:]]*include[[:space:]]*<(torch|ATen|c10)/' vqvae/train/*.h prior/train/*.h); do
  users=$(grep -rnF "#include \"$header\"" --include='*.h' --include='*.cc' "${folders[@]}" |
    grep -vE "$may_see" || true)
  [ -z "$users" ] || { printf '%s, which includes LibTorch, outside of train/:\n%s\n' "$header" "$users" && status=1; }
done

for program in "$@"; do
  libraries=$(ldd "$program")
  if grep -E 'libtorch|libc10' <<<"$libraries"; then
    echo "$program loads LibTorch"
    status=1
  fi
done
exit "$status"
