#!/usr/bin/env bash
# Builds vqcodec, encodes the piece of music that the project ships, decodes all of it and each of its sources, and says
# where the files are and what was saved.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh demo
build=build/release-notorch
[ -f "$build/build.ninja" ] || cmake --preset release-notorch -DVQCODEC_BUILD_TESTS=OFF
cmake --build "$build" --target vqcodec

vqcodec=$build/bin/vqcodec model=models/default.safetensors piece=demo/piece.flac out=demo-out
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
step "$vqcodec" encode "$piece" -o "$out/piece.vqc" --model "$model" --force
step "$vqcodec" verify "$out/piece.vqc"
step "$vqcodec" decode "$out/piece.vqc" -o "$out/piece.wav" --model "$model" --force
for source in vocals bass drums other; do
  step "$vqcodec" decode "$out/piece.vqc" --sources "$source" -o "$out/$source.wav" --model "$model" --force
done

# A number of the JSON that `vqcodec info --json` prints: the first one of that name belongs to the whole file.
info=$("$vqcodec" info --json "$out/piece.vqc")
number() { grep -oE "\"$1\": *[0-9.]+" <<<"$info" | head -n 1 | sed 's/.*: *//'; }
bytes_of() { stat -c %s "$1"; }
seconds=$(number duration_seconds)
row() { # file, what it is
  local bytes
  bytes=$(bytes_of "$1")
  awk -v name="$1" -v what="$2" -v bytes="$bytes" -v seconds="$seconds" \
    'BEGIN { printf "  %-22s %9d bytes %8.1f kbit/s   %s\n", name, bytes, bytes * 8 / seconds / 1000, what }'
}

echo
echo "$seconds seconds of music; listen to:"
row "$piece" "the piece, as it was composed"
row "$out/piece.vqc" "its codes: four sources"
row "$out/piece.wav" "all of it, decoded"
for source in vocals bass drums other; do
  row "$out/$source.wav" "the $source alone, from their own codes"
  [ ! -f "demo/stems/$source.flac" ] || row "demo/stems/$source.flac" "  what the $source were in the piece"
done
vqc=$(bytes_of "$out/piece.vqc")
awk -v vqc="$vqc" -v wav="$(bytes_of "$out/piece.wav")" -v flac="$(bytes_of "$piece")" -v raw="$(number raw_bytes)" 'BEGIN {
  printf "\nThe .vqc is %.0f times smaller than the WAV and %.0f times smaller than the FLAC.\n", wav / vqc, flac / vqc
  printf "Its codes would take %d bytes as they are; coded, the whole file has %d: %.1f %% saved.\n", raw, vqc, 100 * (1 - vqc / raw)
}'
