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

# The first number of that name in what `vqcodec info --json` prints is the whole file's.
info=$("$vqcodec" info --json "$out/piece.vqc")
number() { grep -oE "\"$1\": *[0-9.]+" <<<"$info" | head -n 1 | sed 's/.*: *//'; }
bytes_of() { stat -c %s "$1"; }
seconds=$(number duration_seconds)
row() { # file, what it is
  awk -v name="$1" -v what="$2" -v bytes="$(bytes_of "$1")" -v seconds="$seconds" \
    'BEGIN { printf "  %-24s %9d bytes %8.1f kbit/s   %s\n", name, bytes, bytes * 8 / seconds / 1000, what }'
}

echo
"$vqcodec" info "$out/piece.vqc"
echo
echo "$seconds seconds of music; listen to"
row "$piece" "the piece, as it was composed"
row "$out/piece.wav" "all of it, decoded from"
row "$out/piece.vqc" "its codes"
for source in "${sources[@]}"; do
  row "$out/$source.wav" "$source from its own codes"
  [ ! -f "demo/stems/$source.flac" ] || row "demo/stems/$source.flac" "  as it was in the piece"
done
awk -v vqc="$(bytes_of "$out/piece.vqc")" -v wav="$(bytes_of "$out/piece.wav")" -v flac="$(bytes_of "$piece")" \
  -v raw="$(number raw_bytes)" 'BEGIN {
  printf "\nThe .vqc has 1/%.0f of the bytes of the WAV and 1/%.0f of the FLAC. Its codes as they are would take %d bytes;\n" \
    "the whole file has %d, %.1f %% fewer.\n", wav / vqc, flac / vqc, raw, vqc, 100 * (1 - vqc / raw)
}'
