#!/usr/bin/env bash
# Examples of new lines: the context, the song's own line, new lines, mixes, notes and figures, a folder a song.
set -eu
usage() {
  cat <<'TEXT'
Usage: scripts/generation_examples.sh --songs DIR --out DIR [options]

DIR holds songs: folders with a mixture (or stems, which are summed), .vqc files or audio files.

  --songs DIR      where the songs are
  --out DIR        folder to make; a song whose folder is there already is left as it is
  --source NAME    whose line: bass (the default), drums, other or vocals
  --count N        new lines of each song, 3 if not given
  --songs-at-most N   10 if not given
  --seconds N      of each song, from its start; 40 if not given
  --bin DIR        where vqgen and vqcodec are; build/release/bin if not given
  --model FILE, --prior FILE, --seed N, --temperature T, --top-p P, --guidance G, --tones S, --tries N   as vqgen has them
TEXT
}
root=$(cd "$(dirname "$0")/.." && pwd)
songs='' out='' source=bass count=3 most=10 seconds=40 bin=$root/build/release/bin
model=() drawing=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage && exit 0 ;;
  esac
  if [ $# -lt 2 ]; then echo "generation_examples: $1 needs a value; see --help" >&2 && exit 1; fi
  case $1 in
    --songs) songs=$2 ;;
    --out) out=$2 ;;
    --source) source=$2 ;;
    --count) count=$2 ;;
    --songs-at-most) most=$2 ;;
    --seconds) seconds=$2 ;;
    --bin) bin=$2 ;;
    --model) model=(--model "$2") ;;
    --prior | --seed | --temperature | --top-p | --guidance | --tones | --tries) drawing+=("$1" "$2") ;;
    *) echo "generation_examples: unknown option $1; see --help" >&2 && exit 1 ;;
  esac
  shift 2
done
if [ -z "$songs" ] || [ -z "$out" ]; then usage >&2 && exit 1; fi
for program in vqgen vqcodec; do
  [ -x "$bin/$program" ] || { echo "generation_examples: no $program in $bin; build it or give --bin" >&2 && exit 1; }
done
for program in ffmpeg; do
  command -v "$program" >/dev/null || { echo "generation_examples: needs $program" >&2 && exit 1; }
done
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The first seconds of a song as one file: its mixture, or the sum of its stems.
mixture() { # SONG OUT.wav
  local song=$1 inputs=() file stem
  if [ -f "$song" ]; then
    inputs=("$song")
  else
    for file in "$song"/mixture.*; do [ ! -f "$file" ] || inputs=("$file"); done
    if [ ${#inputs[@]} -eq 0 ]; then
      for stem in vocals bass drums other; do
        for file in "$song/$stem".*; do [ ! -f "$file" ] || inputs+=("$file"); done
      done
    fi
  fi
  [ ${#inputs[@]} -gt 0 ] || return 1
  local arguments=()
  for file in "${inputs[@]}"; do arguments+=(-i "$file"); done
  ffmpeg -v error -nostdin -y "${arguments[@]}" \
    -filter_complex "amix=inputs=${#inputs[@]}:normalize=0:duration=longest" -t "$seconds" -ar 44100 -ac 2 \
    -c:a pcm_f32le "$2"
}

made=0
for song in "$songs"/*; do
  [ "$made" -lt "$most" ] || break
  name=$(basename "$song")
  [ -d "$song" ] || name=${name%.*}
  if [ -e "$out/$name" ]; then
    made=$((made + 1))
    continue
  fi
  folder=$work/$name
  mkdir -p "$folder"
  if [[ $song == *.vqc ]]; then
    cp "$song" "$folder/song.vqc"
  else
    if ! mixture "$song" "$work/mixture.wav"; then
      echo "generation_examples: $song: no song, left out" >&2
      continue
    fi
    "$bin/vqcodec" encode "$work/mixture.wav" -o "$folder/song.vqc" --no-prior --quiet "${model[@]}"
  fi
  "$bin/vqcodec" decode "$folder/song.vqc" --without "$source" -o "$folder/context.flac" --quiet "${model[@]}"
  "$bin/vqcodec" decode "$folder/song.vqc" --sources "$source" -o "$folder/own-$source.flac" --quiet "${model[@]}"
  midi=()
  [ "$source" = drums ] || midi=(--midi "$folder/$source.mid")
  "$bin/vqgen" "$source" --context "$folder/song.vqc" -o "$folder/$source.flac" --count "$count" --json --quiet \
    "${midi[@]}" "${model[@]}" "${drawing[@]}" | sed "s|$work/||g" >"$folder/fit.json"
  "$bin/vqgen" "$source" --context "$folder/song.vqc" -o "$folder/mix.flac" --mix --count "$count" --quiet \
    "${model[@]}" "${drawing[@]}"
  mv "$folder" "$out/$name"
  made=$((made + 1))
  echo "$out/$name"
done
if [ "$made" -eq 0 ]; then
  echo "generation_examples: no song in $songs" >&2
  exit 1
fi
