#!/usr/bin/env bash
# Makes speech and a piano alone, for `vqeval hard FILE...`.
#
# Needs espeak-ng, fluidsynth, python3 and a General MIDI soundfont.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/hard_inputs.sh --out DIR [--soundfont FILE.sf2]

Writes speech.wav (espeak-ng, two voices in turn) and piano.wav (broken chords over six octaves with the pedal down, by
fluidsynth). The soundfont is /usr/share/sounds/sf2/default-GM.sf2 if none is named.

  scripts/hard_inputs.sh --out hard
  vqeval hard hard/speech.wav hard/piano.wav
TEXT
}

out= soundfont=/usr/share/sounds/sf2/default-GM.sf2
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:?--out: expected a folder} && shift 2 ;;
    --soundfont) soundfont=${2:?--soundfont: expected a file} && shift 2 ;;
    --help | -h) usage && exit 0 ;;
    *) echo "hard_inputs.sh: unknown option \"$1\"" >&2 && usage >&2 && exit 1 ;;
  esac
done
[ -n "$out" ] || { usage >&2 && exit 1; }
for program in espeak-ng fluidsynth python3; do
  command -v "$program" > /dev/null || { echo "hard_inputs.sh: $program is missing" >&2 && exit 2; }
done
[ -f "$soundfont" ] || { echo "hard_inputs.sh: $soundfont: there is no such soundfont" >&2 && exit 2; }
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

espeak-ng -v en-gb -s 150 -w "$work/1.wav" \
  "She sells sea shells on the sea shore. The shells she sells are sea shells, I am sure."
espeak-ng -v en-us+f3 -s 170 -w "$work/2.wav" \
  "Peter Piper picked a peck of pickled peppers. How many did he pick before the clock struck ten?"
python3 - "$work" "$out" <<'PYTHON'
import struct
import sys
import wave

work, out = sys.argv[1:]

samples = b""
for name in "12":
    with wave.open(f"{work}/{name}.wav") as voice:
        rate = voice.getframerate()
        samples += voice.readframes(voice.getnframes()) + bytes(rate)  # half a second between
with wave.open(f"{out}/speech.wav", "wb") as speech:
    speech.setnchannels(1)
    speech.setsampwidth(2)
    speech.setframerate(rate)
    speech.writeframes(samples)


def length(value):
    """A variable-length quantity of a MIDI file; all of these are below 16384."""
    return bytes([value]) if value < 128 else bytes([0x80 | value >> 7, value & 127])


# At 120 beats a minute, 480 ticks a beat.
events = length(0) + bytes([0xB0, 64, 127])
for root, third, fifth in ((36, 4, 7), (33, 3, 7), (41, 4, 7), (43, 4, 7)):
    for octave in range(0, 60, 12):
        for step in (0, third, fifth):
            events += length(0) + bytes([0x90, root + octave + step, 50 + octave])
            events += length(140) + bytes([0x80, root + octave + step, 0])
    events += length(0) + bytes([0xB0, 64, 0]) + length(0) + bytes([0xB0, 64, 127])
events += length(960) + bytes([0xFF, 0x2F, 0])
with open(f"{work}/piano.mid", "wb") as midi:
    midi.write(b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(events)) + events)
PYTHON
fluidsynth -q -ni -r 44100 -F "$out/piano.wav" "$soundfont" "$work/piano.mid"
