#!/usr/bin/env bash
# What is in the repository: no path of the machine it was written on, no file over the limit.
set -eu
cd "$(dirname "$0")/../.."
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  echo "[  SKIPPED ] Tree.HasNoMachinePaths (not a git checkout)"
  exit 77
fi
status=0

# Folders at the root of a file system that only some machine has. The brackets keep the patterns from matching themselves.
paths='(^|[^A-Za-z0-9_.$})-])/([w]ork|[f]arm|[r]oot|[h]ome|[U]sers|opt/[v]env)/'
if git grep -nIE "$paths" -- . ':!LICENSE'; then
  echo "machine paths in the lines above"
  status=1
fi

max_bytes=$((32 * 1024 * 1024))
while IFS= read -r -d '' file; do
  [ -f "$file" ] || continue
  bytes=$(stat -c %s -- "$file")
  if [ "$bytes" -gt "$max_bytes" ]; then
    echo "$file has $bytes bytes, more than $max_bytes"
    status=1
  fi
done < <(git ls-files -z)
exit "$status"
