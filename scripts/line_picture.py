#!/usr/bin/env python3
"""Draws an example of scripts/generation_examples.sh: spectrograms above the notes of a new line, over one axis of time.

    scripts/line_picture.py examples/SONG -o picture.svg [--source bass] [--number 1] [--begin 0] [--seconds 20]

From top to bottom: the song without its line, the song's own line, the new one (up to 1 kHz; brighter is
louder), and the new line's notes from its MIDI file. Needs ffmpeg; the pictures are inside of the SVG.
"""
import argparse
import base64
import html
import os
import struct
import subprocess
import sys

WIDTH, HEIGHT, LEFT, GAP = 760, 130, 60, 26
TOP = 1000  # Hz, of the spectrograms
NAMES = "C C# D D# E F F# G G# A A# B".split()


def spectrogram(path, begin, seconds):
    """JPEG of WIDTH x HEIGHT."""
    filters = f"atrim={begin}:{begin + seconds},aformat=channel_layouts=mono,apad=whole_dur={seconds},aresample={2 * TOP}"
    picture = f"showspectrumpic=s={WIDTH}x{HEIGHT}:legend=0:scale=log:drange=70:gain=12:color=magma"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-filter_complex", f"{filters},{picture}"]
    command += ["-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe", "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def length(data, at):
    value = 0
    while True:
        value = value << 7 | data[at] & 127
        at += 1
        if data[at - 1] < 128:
            return value, at


def notes_of(path):
    """(begin s, end s, key) of each note of a Standard MIDI File."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != b"MThd":
        sys.exit(f"{path}: no MIDI file")
    (division,) = struct.unpack(">H", data[12:14])
    at, events = 14, []
    while at + 8 <= len(data):
        (size,) = struct.unpack(">I", data[at + 4 : at + 8])
        end, at, tick, status = at + 8 + size, at + 8, 0, 0
        while at < end:
            wait, at = length(data, at)
            tick += wait
            if data[at] >= 128:
                status = data[at]
                at += 1
            if status == 255:
                kind = data[at]
                size, at = length(data, at + 1)
                if kind == 81:
                    events.append((tick, "tempo", int.from_bytes(data[at : at + size], "big"), 0))
                at += size
            elif status in (240, 247):
                size, at = length(data, at)
                at += size
            elif status >> 4 in (12, 13):
                at += 1
            else:
                if status >> 4 in (8, 9):
                    events.append((tick, "note", data[at], data[at + 1] if status >> 4 == 9 else 0))
                at += 2
        at = end
    notes, open_notes, seconds, tempo, before = [], {}, 0.0, 500000, 0
    for tick, kind, value, velocity in sorted(events, key=lambda event: event[0]):
        seconds += (tick - before) * tempo / division / 1e6
        before = tick
        if kind == "tempo":
            tempo = value
            continue
        if value in open_notes:
            notes.append((open_notes.pop(value), seconds, value))
        if velocity > 0:
            open_notes[value] = seconds
    return notes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of one song")
    parser.add_argument("-o", "--out", required=True, help="SVG to write")
    parser.add_argument("--source", default="bass")
    parser.add_argument("--number", type=int, default=1, help="of the new line")
    parser.add_argument("--begin", type=float, default=0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()

    def numbered(extension):
        for name in (f"{options.source}-{options.number}", options.source):
            path = os.path.join(options.folder, name + extension)
            if os.path.exists(path):
                return path
        sys.exit(f"{options.folder}: has no line {options.number} of {options.source}")

    panels = [
        ("the song without it", os.path.join(options.folder, "context.flac")),
        (f"its own {options.source}", os.path.join(options.folder, f"own-{options.source}.flac")),
        (f"the new {options.source}", numbered(".flac")),
    ]
    parts, top = [], GAP
    for title, path in panels:
        image = base64.b64encode(spectrogram(path, options.begin, options.seconds)).decode()
        parts.append(f'<text x="{LEFT}" y="{top - 6}">{html.escape(title)}</text>')
        parts.append(f'<image x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" href="data:image/jpeg;base64,{image}"/>')
        for hertz in (0, 500, 1000):
            share = 1 - hertz / TOP
            parts.append(f'<text x="{LEFT - 6}" y="{top + share * HEIGHT + 4:.1f}" text-anchor="end">{hertz} Hz</text>')
        top += HEIGHT + GAP
    end = options.begin + options.seconds
    notes = [note for note in notes_of(numbered(".mid")) if note[0] < end and note[1] > options.begin]
    low, high = (min(n[2] for n in notes) - 1, max(n[2] for n in notes) + 2) if notes else (36, 48)
    parts.append(f'<text x="{LEFT}" y="{top - 6}">its notes, as tracked</text>')
    parts.append(f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="#f4f4f4"/>')
    step = HEIGHT / (high - low)
    for key in range(low, high):
        if key % 12 in (0, 7):
            y = top + (high - key - 0.5) * step
            parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#ccc"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{NAMES[key % 12]}{key // 12 - 1}</text>')
    for begin, stop, key in notes:
        x = LEFT + max(0, begin - options.begin) / options.seconds * WIDTH
        width = max(1.5, (min(stop, end) - max(begin, options.begin)) / options.seconds * WIDTH)
        y = top + (high - key - 1) * step
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{step:.1f}" fill="#b5367a"/>')
    top += HEIGHT
    for second in range(0, int(options.seconds) + 1, 5):
        x = LEFT + second / options.seconds * WIDTH
        parts.append(f'<text x="{x:.1f}" y="{top + 16}" text-anchor="middle">{options.begin + second:g} s</text>')
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {top + 26}" '
                   'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n')
        file.write("\n".join(parts) + "\n</svg>\n")


if __name__ == "__main__":
    main()
