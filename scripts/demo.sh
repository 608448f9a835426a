#!/usr/bin/env bash
# Builds vqcodec, encodes the piece of music that the project ships, decodes all of it and each of its sources, and says
# where the files are and what was saved.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh demo
build=build/release-notorch
[ -f "$build/build.ninja" ] || cmake --preset release-notorch -DVQCODEC_BUILD_TESTS=OFF
cmake --build "$build" --target vqcodec

vqcodec=build/release/bin/vqcodec model=models/default.safetensors piece=demo/piece.flac out=demo-out
sources=(vocals bass drums other)
for file in "$model" "$piece"; do
  if [ ! -s "$file" ]; then
    echo "demo: $file is missing; this checkout is not whole" >&2
    exit 1
  fi
done
mkdir -p "$out"

step() {
  echo "\$ $*"
  "$@"
}
echo
step "$vqcodec" encode "$piece" -o "$out/piece.vqc" --force
step "$vqcodec" verify "$out/piece.vqc"
step "$vqcodec" decode "$out/piece.vqc" -o "$out/piece.wav" --force
for source in "${sources[@]}"; do
  step "$vqcodec" decode "$out/piece.vqc" --sources "$source" -o "$out/$source.wav" --force
done

# The first one in this report is the whole file's.
seconds=$("$vqcodec" info --json "$out/piece.vqc" | sed -n 's/.*"duration_seconds": *\([0-9.]*\).*/\1/p' | head -n 1)
size() {
  awk -v file="$1" -v bytes="$(stat -c %s "$1")" -v seconds="$seconds" \
    'BEGIN { printf "  %-28s %9d bytes %8.1f kbit/s\n", file, bytes, bytes * 8 / seconds / 1000 }'
}

echo
"$vqcodec" info "$out/piece.vqc"
printf '\nWhat was saved (%.1f s of music):\n' "$seconds"
size "$out/piece.wav"
size "$piece"
size "$out/piece.vqc"
printf '\nListen to (in %s):\n  %-8s %-24s %s\n' "$PWD" what decoded 'as it was composed'
printf '  %-8s %-24s %s\n' all "$out/piece.wav" "$piece"
for source in "${sources[@]}"; do
  printf '  %-8s %-24s %s\n' "$source" "$out/$source.wav" "demo/stems/$source.flac"
done
