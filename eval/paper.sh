#!/usr/bin/env bash
# The ablation of the seed paper, trained and judged anew: see usage() below and docs/EVALUATION.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

usage() {
  cat <<'TEXT'
Trains the paper's three configurations with equal budgets, judges each by "vqeval sdr", and prints the table beside the
paper's own.

Usage: eval/paper.sh --data DIR --validation DIR --minutes N --out DIR [options]

  --data DIR[=WEIGHT]  training songs, <song>/{vocals,bass,drums,other}.<audio>; repeatable (see vqtrain vqvae --help)
  --validation DIR     songs set aside, watched while training; repeatable
  --minutes N          time to train each configuration
  --out DIR            runs, models, sdr.json of each, and table.md; what is there already is kept
  --test DIR           songs to judge by [the first --validation]
  --test-seconds N     no more than this of each song judged, 0 = all [0]
  --max-seconds N      no more than this of each training song, 0 = all [0]
  --probe-steps N      steps that the speed is measured with [40]
  --device D           cpu or cuda [cpu]
  --threads N          CPU threads, 0 = all cores [0]
  --bin DIR            folder of vqtrain and vqeval [build/release/bin]
  --force              remove what an earlier run left in --out
  --help               this text

The configurations are configs/paper.json, paper-no-stft.json and paper-no-complement.json. Their schedules (temperature)
run over all steps, so a run that is cut off is not what it was meant to be. Therefore the speed is measured first, with
the first configuration, which has the most to compute; all three then get the number of steps that fits N minutes, from
the first to the last of their schedules. Nothing else of the configurations changes but when they validate and save.
All three see the same examples in the same order. After an interrupt the same command goes on.
TEXT
}

fail() {
  printf 'paper.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}
say() { printf '== %s\n' "$*"; }

configs=(paper paper-no-stft paper-no-complement)
data=() validation=() minutes='' out='' test_folder='' test_seconds=0 max_seconds=0 probe_steps=40 device=cpu threads=0
bin=$root/build/release/bin force=no
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --force) force=yes; shift; continue ;;
    --data | --validation | --minutes | --out | --test | --test-seconds | --max-seconds | --probe-steps | --device | --threads | --bin)
      [ $# -ge 2 ] || fail "$1: its value is missing; see eval/paper.sh --help" ;;
    *) fail "unknown option \"$1\"; see eval/paper.sh --help" ;;
  esac
  case $1 in
    --data) data+=("$2") ;;
    --validation) validation+=("$2") ;;
    --minutes) minutes=$2 ;;
    --out) out=$2 ;;
    --test) test_folder=$2 ;;
    --test-seconds) test_seconds=$2 ;;
    --max-seconds) max_seconds=$2 ;;
    --probe-steps) probe_steps=$2 ;;
    --device) device=$2 ;;
    --threads) threads=$2 ;;
    --bin) bin=$2 ;;
  esac
  shift 2
done

is_number() { [[ $1 =~ ^[0-9]+([.][0-9]+)?$ ]]; }
[ ${#data[@]} -gt 0 ] || fail "--data is missing; see eval/paper.sh --help"
[ ${#validation[@]} -gt 0 ] || fail "--validation is missing; see eval/paper.sh --help"
[ -n "$minutes" ] || fail "--minutes is missing; see eval/paper.sh --help"
[ -n "$out" ] || fail "--out is missing; see eval/paper.sh --help"
is_number "$minutes" && [[ $minutes =~ [1-9] ]] || fail "--minutes $minutes: expected a number above 0"
for pair in "--test-seconds $test_seconds" "--max-seconds $max_seconds"; do
  is_number "${pair#* }" || fail "$pair: expected seconds, 0 or more"
done
[[ $probe_steps =~ ^[0-9]{1,6}$ ]] && [ "$probe_steps" -ge 20 ] || fail "--probe-steps $probe_steps: expected 20 or more"
[[ $threads =~ ^[0-9]+$ ]] || fail "--threads $threads: expected 0 or more"
[ -n "$test_folder" ] || test_folder=${validation[0]}
for folder in "${data[@]}" "${validation[@]}" "$test_folder"; do
  [ -d "$folder" ] || [ -d "${folder%=*}" ] || fail "$folder: no such folder" 2
done
for program in vqtrain vqeval; do
  [ -x "$bin/$program" ] || fail "$bin/$program is not there; build it with \"make train\", or name its folder by --bin" 2
done
command -v python3 >/dev/null || fail "python3 is not there" 2
trap 'echo >&2; fail "interrupted; the same command goes on" 130' INT TERM

# What is in --out must come from the same question.
settings=$(printf '%s\n' "data ${data[*]}" "validation ${validation[*]}" "minutes $minutes" "max-seconds $max_seconds" \
  "device $device" "test $test_folder" "test-seconds $test_seconds")
for config in "${configs[@]}"; do
  settings+=$'\n'"$config $(cksum <"$root/configs/$config.json")"
done
if [ "$force" = yes ] && [ -f "$out/settings.txt" ]; then
  rm -rf "$out/settings.txt" "$out/steps.txt" "$out/table.md" "$out/probe" "${configs[@]/#/$out/}"
fi
mkdir -p "$out"
if [ ! -f "$out/settings.txt" ]; then
  printf '%s\n' "$settings" >"$out/settings.txt"
elif [ "$settings" != "$(cat "$out/settings.txt")" ]; then
  diff "$out/settings.txt" <(printf '%s\n' "$settings") >&2 || true
  fail "$out holds a run with other settings (above: < there, > now); take another --out, or --force to begin anew"
fi

# scaled_config CONFIG STEPS FILE: the configuration with that many steps; validation once, at the end.
scaled_config() {
  python3 - "$root/configs/$1.json" "$2" "$3" <<'PYTHON'
import json, sys
source, steps, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(source) as file:
    config = json.load(file)
training = config["training"]
training["joint_steps"] = steps
training["validate_every"] = steps
training["checkpoint_every"] = max(50, min(steps, training["checkpoint_every"]))
training["log_every"] = min(training["log_every"], max(1, steps // 8))
with open(target, "w") as file:
    json.dump(config, file, indent=2)
    file.write("\n")
PYTHON
}

train_arguments=(--device "$device" --threads "$threads" --max-seconds "$max_seconds")
for folder in "${data[@]}"; do train_arguments+=(--data "$folder"); done
validation_arguments=()
for folder in "${validation[@]}"; do validation_arguments+=(--validation "$folder"); done

# One line that is written over on a terminal, else a line a minute. Ctrl-C is for vqtrain, which then saves.
show_progress() {
  trap '' INT TERM
  local line shown=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    if [ -t 1 ]; then
      printf '\r\033[K%.110s' "$line"
    elif [ "$SECONDS" -ge "$shown" ]; then
      printf '%s\n' "$line"
      shown=$((SECONDS + 60))
    fi
  done
  [ ! -t 1 ] || echo
}

# Steps a second from the log: the first part of it warms up.
steps_a_second() {
  python3 - "$1" <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
lines = [(line["step"], line["time"]) for line in lines if line["kind"] == "training"]
lines = lines[min(len(lines) - 2, max(0, len(lines) // 4)):]
print((lines[-1][0] - lines[0][0]) / max(1e-9, lines[-1][1] - lines[0][1]))
PYTHON
}

last_step() {
  [ -f "$1/log.jsonl" ] || { echo 0; return; }
  python3 - "$1/log.jsonl" <<'PYTHON'
import json, sys
print(max((json.loads(line)["step"] for line in open(sys.argv[1]) if line.strip()), default=0))
PYTHON
}

if [ ! -s "$out/steps.txt" ]; then
  say "measuring the speed of ${configs[0]} with $probe_steps steps"
  rm -rf "$out/probe"
  mkdir -p "$out/probe"
  scaled_config "${configs[0]}" "$probe_steps" "$out/probe/config.json"
  "$bin/vqtrain" vqvae --config "$out/probe/config.json" --out "$out/probe/run" "${train_arguments[@]}" |
    show_progress "$out/probe/train.log"
  [ "$(last_step "$out/probe/run")" -ge "$probe_steps" ] || fail "the measurement was stopped; the same command begins it anew" 130
  # A twentieth is kept for what the steps do not hold: reading the songs, saving, validating.
  python3 - "$(steps_a_second "$out/probe/run/log.jsonl")" "$minutes" >"$out/steps.tmp" <<'PYTHON'
import sys
speed, minutes = float(sys.argv[1]), float(sys.argv[2])
print(int(speed * minutes * 60 * 0.95), "%.2f" % speed)
PYTHON
  mv "$out/steps.tmp" "$out/steps.txt"
  rm -rf "$out/probe"
fi
read -r steps speed <"$out/steps.txt"
[ "$steps" -ge 10 ] || fail "$minutes minutes hold only $steps steps at $speed a second; give more --minutes"
say "$speed steps a second: $steps steps for each configuration, so that $minutes minutes hold the whole schedule"
for config in "${configs[@]}"; do
  say "$config: configs/$config.json with joint_steps $steps; validation at the end"
done

for config in "${configs[@]}"; do
  folder=$out/$config
  mkdir -p "$folder"
  if [ ! -s "$folder/model.safetensors" ]; then
    scaled_config "$config" "$steps" "$folder/$config.json"
    say "training $config (from step $(last_step "$folder/run") of $steps)"
    "$bin/vqtrain" vqvae --config "$folder/$config.json" --out "$folder/run" "${train_arguments[@]}" \
      "${validation_arguments[@]}" | show_progress "$folder/train.log"
    reached=$(last_step "$folder/run")
    [ "$reached" -ge "$steps" ] || fail "$config stopped at step $reached of $steps; the same command goes on" 130
    "$bin/vqtrain" export --checkpoint "$folder/run/checkpoint.pt" --out "$folder/model.safetensors" \
      --description "$config, $steps steps, $minutes minutes"
  fi
  if [ ! -s "$folder/sdr.json" ]; then
    say "judging $config"
    "$bin/vqeval" sdr --model "$folder/model.safetensors" --data "$test_folder" --max-seconds "$test_seconds" \
      --threads "$threads" --out "$folder"
  fi
done

# The table, and what it is of. Minutes are those between lines of the log, but for breaks.
python3 - "$out" "$steps" "$speed" "$minutes" "$device" "$test_folder" "$test_seconds" "${data[*]}" "${configs[@]}" \
  >"$out/table.tmp" <<'PYTHON'
import json, os, sys

out, steps, speed, minutes, device, test, test_seconds, data, *configs = sys.argv[1:]
names = {"paper": "proposed", "paper-no-stft": "without L_STFT", "paper-no-complement": "without L_compl"}
# Kim et al. 2021, MUSDB18 test: vocals, bass, drums, other, average.
papers = {
    "paper": [1.270, 1.761, 1.403, 0.812, 1.311],
    "paper-no-stft": [1.546, 1.026, 1.480, 1.069, 1.280],
    "paper-no-complement": [0.996, -0.031, 1.458, 0.576, 0.749],
}
columns = ["vocals", "bass", "drums", "other"]


def last(path):
    return os.path.basename(os.path.normpath(path.rsplit("=", 1)[0]))


def minutes_of(log):
    with open(log) as file:
        times = [line["time"] for line in map(json.loads, file) if line["kind"] == "training"]
    gaps = sorted(b - a for a, b in zip(times, times[1:]))
    if not gaps:
        return 0
    longest = 10 * max(gaps[len(gaps) // 2], 0.1)
    return (len(gaps) + 1) / len(gaps) * sum(gap for gap in gaps if 0 < gap < longest) / 60


def text(value):
    return "-" if value is None else "%.3f" % value


def row(words):
    print("| " + " | ".join(words) + " |")


models, left_out = [], 0
for metric, title in [
    ("sdr", "SDR in dB, BSSEval version 4 (medians over windows of 1 s, then over tracks)"),
    ("windowed_sdr", "Plain SDR in dB of windows of 1 s in which the source sounds (medians)"),
]:
    print(title + "\n")
    row(["", *columns, "average", *(["paper: " + name for name in columns + ["average"]] if metric == "sdr" else [])])
    row(["---"] * (12 - 1 if metric == "sdr" else 6))
    for config in configs:
        with open(os.path.join(out, config, "sdr.json")) as file:
            report = json.load(file)
        estimate = next(one for one in report["rows"] if one["id"] == "estimate")
        values = [estimate["sources"].get(name, {}).get(metric) for name in columns]
        values.append(estimate["average"].get(metric))
        row([names[config], *map(text, values), *(map(text, papers[config]) if metric == "sdr" else [])])
        if metric == "sdr":
            models.append((config, report["model"]["id"], len(report["tracks"])))
            left_out += len(report["left_out"])
    if metric == "sdr":
        for one in report["rows"]:
            if one["id"] in ("mixture", "ideal_ratio_mask"):
                values = [one["sources"].get(name, {}).get(metric) for name in columns] + [one["average"].get(metric)]
                row([one["id"].replace("_", " "), *map(text, values), *[""] * 5])
    print()
print(f"Each trained {steps} steps ({speed} a second measured before, {minutes} minutes asked for) on {device}; in steps:")
print(", ".join("%s %.1f min" % (names[c], minutes_of(os.path.join(out, c, "run", "log.jsonl"))) for c in configs) + ".")
print("Training data: " + ", ".join(last(path) for path in data.split(" ")) + f". Judged by: {last(test)}, "
      f"{models[0][2]} tracks" + (f", {test_seconds} s of each" if float(test_seconds) > 0 else "") +
      f" (the paper: MUSDB18 test, 50 tracks). Entries left out or changed: {left_out}, listed in sdr.json of each.")
for config, model, _ in models:
    print(f"- {names[config]}: configs/{config}.json with joint_steps {steps}, model {model}")
PYTHON
mv "$out/table.tmp" "$out/table.md"
echo
cat "$out/table.md"
