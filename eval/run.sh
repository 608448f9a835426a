#!/usr/bin/env bash
# The whole evaluation of a model with one command: see usage() below and docs/EVALUATION.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
Measures a model on songs whose sources are known, and puts everything on one page.

Usage: eval/run.sh --model M --data DIR --out DIR [options]

  --model M            model (.safetensors)
  --data DIR           songs: DIR/<track>/{mixture,vocals,bass,drums,other}.<audio>, such as musdb18hq/test
  --out DIR            where everything goes; parts that are finished there are kept
  --parts LIST         only these of sdr,rate,codes,speed,examples,report [all]
  --max-seconds N      no more than this of each song, 0 = all [0]
  --examples N         songs to hear on the page, spread over the list of tracks [3]
  --example-seconds N  length of each [10]
  --example-format F   flac, opus (192 kbit/s, smaller) or wav [flac]
  --quick              a look only: 20 s of each song and one example, unless said otherwise; no figures to quote
  --threads N          CPU threads, 0 = all cores [0]
  --bin DIR            folder of vqeval and vqcodec [build/release/bin]
  --force              do finished parts again
  --help               this text

In --out afterwards: report.html, and sdr.json, rate.json, codes.json, speed.json with their plots (SVG), sdr/ with
museval's JSON of each track, examples/ with the audio. After an interrupt the same command goes on with the first part that
is not finished. Needs ffmpeg for the examples.

Exit codes: those of vqeval and vqcodec: 0 ok, 1 usage, 2 input or output, 3 bad file, 4 model, 5 internal.
TEXT
}

fail() {
  printf 'run.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}
say() { printf '== %s\n' "$*"; }

all_parts=(sdr rate codes speed examples report)
model='' data='' out='' parts='' max_seconds='' num_examples='' example_seconds=10 example_format=flac quick=no threads=0
bin=$root/build/release/bin force=no
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --quick) quick=yes; shift; continue ;;
    --force) force=yes; shift; continue ;;
    --model | --data | --out | --parts | --max-seconds | --examples | --example-seconds | --example-format | --threads | --bin)
      [ $# -ge 2 ] || fail "$1: its value is missing; see eval/run.sh --help" ;;
    *) fail "unknown option \"$1\"; see eval/run.sh --help" ;;
  esac
  case $1 in
    --model) model=$2 ;;
    --data) data=$2 ;;
    --out) out=$2 ;;
    --parts) parts=$2 ;;
    --max-seconds) max_seconds=$2 ;;
    --examples) num_examples=$2 ;;
    --example-seconds) example_seconds=$2 ;;
    --example-format) example_format=$2 ;;
    --threads) threads=$2 ;;
    --bin) bin=$2 ;;
  esac
  shift 2
done

if [ "$quick" = yes ]; then
  max_seconds=${max_seconds:-20} num_examples=${num_examples:-1}
fi
max_seconds=${max_seconds:-0} num_examples=${num_examples:-3}
[ -n "$model" ] || fail "--model is missing; see eval/run.sh --help"
[ -n "$data" ] || fail "--data is missing; see eval/run.sh --help"
[ -n "$out" ] || fail "--out is missing; see eval/run.sh --help"
[[ $max_seconds =~ ^[0-9]+([.][0-9]+)?$ ]] || fail "--max-seconds $max_seconds: expected seconds, 0 or more"
[[ $num_examples =~ ^[0-9]{1,3}$ ]] || fail "--examples $num_examples: expected 0 to 999"
[[ $example_seconds =~ ^[1-9][0-9]{0,2}$ ]] || fail "--example-seconds $example_seconds: expected 1 to 999"
[[ $example_format =~ ^(flac|opus|wav)$ ]] || fail "--example-format $example_format: expected flac, opus or wav"
[[ $threads =~ ^[0-9]+$ ]] || fail "--threads $threads: expected 0 or more"
wanted=("${all_parts[@]}")
if [ -n "$parts" ]; then
  IFS=, read -r -a wanted <<<"$parts"
  for part in "${wanted[@]}"; do
    [[ " ${all_parts[*]} " == *" $part "* ]] || fail "--parts $parts: expected some of $(IFS=,; echo "${all_parts[*]}")"
  done
fi
wants() { [[ " ${wanted[*]} " == *" $1 "* ]]; }
[ -s "$model" ] || fail "$model: no such model" 4
[ -d "$data" ] || fail "$data: no such folder" 2
for program in vqeval vqcodec; do
  [ -x "$bin/$program" ] || fail "$bin/$program is not there; build it with \"make\", or name its folder by --bin" 2
done
if wants examples && [ "$num_examples" -gt 0 ]; then
  command -v ffmpeg >/dev/null || fail "ffmpeg is not there, which cuts the examples; install it or give --examples 0" 2
fi
trap 'echo >&2; fail "interrupted; the same command goes on" 130' INT TERM

# Figures of two models or two data sets must not come to stand on one page.
settings=$(printf '%s\n' "model $(sha256sum <"$model" | cut -c 1-64)" "data $(cd "$data" && pwd -P)" \
  "max-seconds $max_seconds" "quick $quick")
mkdir -p "$out"
if [ -f "$out/settings.txt" ] && [ "$settings" != "$(cat "$out/settings.txt")" ]; then
  if [ "$force" = no ]; then
    diff "$out/settings.txt" <(printf '%s\n' "$settings") >&2 || true
    fail "$out holds other results (above: < there, > now); take another --out, or --force to begin anew"
  fi
  rm -rf "$out"/{sdr,rate,codes,speed}.json "$out"/{sdr,sdr-details,examples} "$out/report.html"
fi
printf '%s\n' "$settings" >"$out/settings.txt"

step=0
begin() {
  step=$((step + 1))
  say "[$step/${#wanted[@]}] $1"
}

# measure KIND ARGUMENT...: runs "vqeval KIND" unless its report is there. The report is written last and as a whole, so
# that one that is there is finished.
measure() {
  local kind=$1
  shift
  wants "$kind" || return 0
  if [ -s "$out/$kind.json" ] && [ "$force" = no ]; then
    begin "$kind: done before"
    return
  fi
  begin "$kind"
  local started=$SECONDS
  "$bin/vqeval" "$kind" --model "$model" --data "$data" --max-seconds "$max_seconds" --threads "$threads" --out "$out" "$@"
  say "$kind took $((SECONDS - started)) s"
}

# First audio file of stem $2 in folder $1, or nothing.
stem_file() {
  local file
  for file in "$1/$2".*; do
    case $file in *.json | *.vqc | *.txt) continue ;; esac
    [ -f "$file" ] && printf '%s\n' "$file" && return
  done
  return 0
}

sources=(vocals bass drums other)

is_track() {
  local stem
  for stem in mixture "${sources[@]}"; do
    [ -z "$(stem_file "$1" "$stem")" ] || return 0
  done
  return 1
}

# Where a stretch begins, in seconds, in which the quietest source is as loud as in any other: of the levels of every
# source in stretches of that length, one after another.
best_start() {
  local source file columns=()
  for source in "${sources[@]}"; do
    file=$(stem_file "$1" "$source")
    [ -n "$file" ] || continue
    columns+=("$work/levels-$source")
    ffmpeg -nostdin -v error -i "$file" "${limit[@]}" -vn \
      -af "aresample=8000,asetnsamples=n=$((8000 * example_seconds)):p=0,astats=metadata=1:reset=1:measure_perchannel=none,ametadata=mode=print:key=lavfi.astats.Overall.RMS_level:file=-" \
      -f null /dev/null | sed -n 's/.*RMS_level=//p' >"$work/levels-$source"
  done
  [ ${#columns[@]} -gt 0 ] || { echo 0; return; }
  paste "${columns[@]}" | awk -v seconds="$example_seconds" '
    # The last line is of a part of a stretch.
    NR > 1 && (best == "" || least > best) { best = least; start = (NR - 2) * seconds }
    { least = 1000; for (i = 1; i <= NF; ++i) { level = $i ~ /inf|nan/ ? -200 : $i; if (level < least) least = level } }
    END { print start + 0 }'
}

encode_arguments() {
  case $example_format in
    flac) printf '%s\n' -c:a flac -sample_fmt s16 ;;
    opus) printf '%s\n' -c:a libopus -b:a 192k ;;
    wav) printf '%s\n' -c:a pcm_s16le ;;
  esac
}

# make_example FOLDER: original and decoded excerpts of one track, into a folder that gets its name when it is whole.
make_example() {
  local track=$1 name start stem file
  name=$(basename "$(cd "$track" && pwd -P)")
  [ ! -d "$out/examples/$name" ] || return 0
  local target=$work/example
  rm -rf "$target"
  mkdir -p "$target/original" "$target/decoded" "$work/decoded"
  mapfile -t encoding < <(encode_arguments)
  start=$(best_start "$track")
  file=$(stem_file "$track" mixture)
  if [ -z "$file" ]; then
    local inputs=()
    for stem in "${sources[@]}"; do
      file=$(stem_file "$track" "$stem")
      [ -z "$file" ] || inputs+=(-i "$file")
    done
    file=$work/mixture.wav
    ffmpeg -nostdin -v error -y "${inputs[@]}" -filter_complex "amix=inputs=$((${#inputs[@]} / 2)):normalize=0" \
      -c:a pcm_f32le "$file"
  fi
  # The song is encoded as far as the excerpt goes, not the excerpt alone: the codes at its begin have their past.
  ffmpeg -nostdin -v error -y -i "$file" -vn -t $((start + example_seconds)) -c:a pcm_f32le "$work/song.wav"
  "$bin/vqcodec" encode "$work/song.wav" -o "$work/song.vqc" --model "$model" --threads "$threads" --force --quiet
  rm -rf "$work/decoded"
  mkdir "$work/decoded"
  "$bin/vqcodec" decode "$work/song.vqc" --model "$model" --threads "$threads" --from "$start" --stems "$work/decoded" --quiet
  "$bin/vqcodec" decode "$work/song.vqc" --model "$model" --threads "$threads" --from "$start" \
    -o "$work/decoded/mixture.wav" --quiet
  for stem in mixture "${sources[@]}"; do
    if [ "$stem" != mixture ]; then file=$(stem_file "$track" "$stem"); fi
    [ -z "$file" ] || ffmpeg -nostdin -v error -y -ss "$start" -t "$example_seconds" -i "$file" -vn \
      "${encoding[@]}" "$target/original/$stem.$example_format"
    [ ! -f "$work/decoded/$stem.wav" ] || ffmpeg -nostdin -v error -y -t "$example_seconds" \
      -i "$work/decoded/$stem.wav" "${encoding[@]}" "$target/decoded/$stem.$example_format"
  done
  printf '%d s from %d:%02d\n' "$example_seconds" $((start / 60)) $((start % 60)) >"$target/about.txt"
  mv "$target" "$out/examples/$name"
}

make_examples() {
  local tracks=() folder i chosen
  if is_track "$data"; then
    tracks=("$data")
  else
    for folder in "$data"/*/; do
      ! is_track "${folder%/}" || tracks+=("${folder%/}")
    done
  fi
  [ ${#tracks[@]} -gt 0 ] || fail "$data: holds no track; expected <track>/{mixture,vocals,...}.wav or the like" 3
  chosen=$num_examples
  [ "$chosen" -le ${#tracks[@]} ] || chosen=${#tracks[@]}
  mkdir -p "$out/examples"
  for ((i = 0; i < chosen; ++i)); do
    folder=${tracks[$((i * ${#tracks[@]} / chosen))]}
    say "example $((i + 1)) of $chosen: $(basename "$folder")"
    make_example "$folder"
  done
}

resume=() codes_options=() speed_options=()
[ "$force" = yes ] || resume=(--resume)  # track by track
if [ "$quick" = yes ]; then
  codes_options=(--max-points 300)
  speed_options=(--seconds 10 --repetitions 1)
fi
measure sdr "${resume[@]}"
measure rate
measure codes "${codes_options[@]}"
measure speed "${speed_options[@]}"

if wants examples; then
  limit=()
  [[ $max_seconds =~ ^0+([.]0+)?$ ]] || limit=(-t "$max_seconds")
  begin examples
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  [ "$force" = no ] || rm -rf "$out/examples"
  [ "$num_examples" -eq 0 ] || make_examples
fi

if wants report; then
  begin report
  "$bin/vqeval" report "$out" -o "$out/report.html" --force
  say "$out/report.html"
fi
