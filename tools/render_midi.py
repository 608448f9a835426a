#!/usr/bin/env python3
"""Render MIDI songs to stems (bass, drums, other) with the fluidsynth command.

Channel 10 is drums, notes played while their channel's program is 32-39 are bass, the rest is other. For every song a
seeded choice of soundfont per group, transposition, tempo, reverb and level; the same seed gives the same files. Songs
that are there already are skipped. Needs the commands fluidsynth and sox, and numpy for --synth-bass."""
import argparse
import concurrent.futures
import math
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import wave

SAMPLE_RATE_HZ = 44100
DRUM_CHANNEL = 9
BASS_PROGRAMS = range(32, 40)
GROUPS = ("bass", "drums", "other")


def read_varint(data, i):
    value = 0
    while True:
        byte = data[i]
        i += 1
        value = value << 7 | byte & 127
        if byte < 128:
            return value, i


def varint(value):
    out = [value & 127]
    while value > 127:
        value >>= 7
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def parse(data):
    """A Standard MIDI File as (ticks a quarter, [(tick, order, status, payload)]), all tracks merged, no sysex."""
    if data[:4] != b"MThd":
        raise ValueError("not a MIDI file")
    length, _, num_tracks, division = struct.unpack(">IHHH", data[4:14])
    if division & 0x8000:
        raise ValueError("SMPTE time is not supported")
    i, events = 8 + length, []
    for _ in range(num_tracks):
        if data[i:i + 4] != b"MTrk":
            break
        end = i + 8 + struct.unpack(">I", data[i + 4:i + 8])[0]
        i += 8
        tick, status = 0, 0
        while i < end:
            delta, i = read_varint(data, i)
            tick += delta
            if data[i] & 128:
                status = data[i]
                i += 1
            if status == 0xFF:
                kind = data[i]
                length, i = read_varint(data, i + 1)
                payload = bytes([kind]) + data[i:i + length]
            elif status in (0xF0, 0xF7):
                length, i = read_varint(data, i)
                payload = None
            else:
                length = 1 if status >> 4 in (0xC, 0xD) else 2
                payload = data[i:i + length]
            i += length
            if payload is not None:
                events.append((tick, len(events), status, payload))
        i = end
    events.sort(key=lambda event: event[:2])
    return division, events


def group_notes(events, wanted):
    """The events of `events` that concern the group: its notes, and every controller, program and tempo change.
    Yields (tick, status, payload, is_note_on) with a note's release wherever its program is by then."""
    program, sounding = [0] * 16, set()
    for tick, _, status, payload in events:
        kind, channel = status >> 4, status & 15
        if status == 0xFF:
            if payload[0] == 0x51:
                yield tick, status, payload, False
            continue
        if kind == 0xC:
            program[channel] = payload[0]
        if kind in (0x8, 0x9):
            is_on = kind == 0x9 and payload[1] > 0
            note = (channel, payload[0])
            if is_on:
                is_bass = program[channel] in BASS_PROGRAMS
                if wanted != ("drums" if channel == DRUM_CHANNEL else "bass" if is_bass else "other"):
                    continue
                sounding.add(note)
            elif note not in sounding:
                continue
            else:
                sounding.discard(note)
            yield tick, status, payload, is_on
        else:
            yield tick, status, payload, False


def group_file(division, events, group, transpose, tempo, drum_kit):
    """A MIDI file of type 0 with the notes of one group, and how many these are."""
    out, last, num_notes = bytearray(), 0, 0

    def add(tick, event):
        nonlocal last
        out.extend(varint(tick - last) + event)
        last = tick

    if drum_kit is not None:
        add(0, bytes([0xC0 | DRUM_CHANNEL, drum_kit]))
    for tick, status, payload, is_on in group_notes(events, group):
        channel = status & 15
        if status == 0xFF:
            payload = b"\x51\x03" + min(0xFFFFFF, int(int.from_bytes(payload[1:4], "big") / tempo)).to_bytes(3, "big")
        elif status >> 4 in (0x8, 0x9):
            num_notes += is_on
            if channel != DRUM_CHANNEL:
                payload = bytes([min(127, max(0, payload[0] + transpose)), payload[1]])
        elif status >> 4 == 0xC and channel == DRUM_CHANNEL and drum_kit is not None:
            continue
        add(tick, bytes([status]) + payload)
    add(last, b"\xff\x2f\x00")
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, division)
    return num_notes, header + struct.pack(">4sI", b"MTrk", len(out)) + bytes(out)


def timed_bass_notes(division, events, tempo):
    """[(start in seconds, length in seconds, key, velocity)] of the group bass."""
    second_per_tick, last_tick, now = 0.5 / division / tempo, 0, 0.0
    open_notes, notes = {}, []
    for tick, status, payload, is_on in group_notes(events, "bass"):
        now += (tick - last_tick) * second_per_tick
        last_tick = tick
        if status == 0xFF:
            second_per_tick = int.from_bytes(payload[1:4], "big") * 1e-6 / division / tempo
        elif status >> 4 in (0x8, 0x9):
            note = (status & 15, payload[0])
            if note in open_notes:
                start, velocity = open_notes.pop(note)
                notes.append((start, now - start, payload[0], velocity))
            if is_on:
                open_notes[note] = (now, payload[1])
    return notes


def synth_bass(notes, rng, transpose, num_samples, pulsed):
    """float32 [num_samples, 2]: the notes on a subtractive synthesizer with a random patch: harmonics of a saw, square or
    triangle under a low-pass filter with its own envelope, a sub-oscillator, and drive. Harmonics are added one by one: no
    aliasing. `pulsed`: only sub-basses in short pulses, which are easily taken for bass drums."""
    import numpy as np

    out = np.zeros((num_samples, 2), np.float32)
    is_sub = rng.random() < 0.5  # a sub-bass: hardly any harmonics, often short like a drum
    shape = rng.choice(["sine", "sine", "triangle"] if is_sub else ["triangle", "square", "saw", "saw"])
    # The octave that puts the line's middle nearest to a drawn key: C1 to D2 or E1 to C3.
    middle = sorted(key for _, _, key, _ in notes)[len(notes) // 2] + transpose
    shift = transpose + 12 * round(((rng.uniform(24, 38) if is_sub else rng.uniform(28, 46)) - middle) / 12)
    sub_level = 0 if is_sub else rng.choice([0, 0, rng.uniform(0.3, 1)])
    cutoff_hz = 100 * 2 ** rng.uniform(0, 4.5)
    envelope_octaves, filter_decay = rng.uniform(0, 3), rng.uniform(0.05, 0.8)
    slope = rng.choice([2, 4])  # poles
    attack, release = rng.uniform(0.002, 0.03), rng.uniform(0.02, 0.25)
    sustain, amplitude_decay = rng.uniform(0, 1), rng.uniform(0.1, 1.5)
    gate = rng.uniform(0.25, 1)  # of a note's length
    max_length = rng.choice([6, 6, rng.uniform(0.1, 0.4)])
    pitch_drop, drop_seconds = rng.choice([0, 0, rng.uniform(0, 1)]), rng.uniform(0.005, 0.04)
    if pulsed:
        is_sub, shape, sub_level = True, rng.choice(["sine", "triangle", "square", "saw", "saw"]), 0
        cutoff_hz, envelope_octaves = 40 * 2 ** rng.uniform(0, 3), rng.uniform(0, 4)
        attack, filter_decay = 10 ** rng.uniform(-4, -2), 10 ** rng.uniform(-2.2, -0.3)
        shift = transpose + 12 * round((rng.uniform(22, 44) - middle) / 12)
        max_length, release, sustain = rng.uniform(0.06, 0.35), rng.uniform(0.03, 0.15), rng.uniform(0.5, 1)
        pitch_drop = rng.choice([0, 0, rng.uniform(0, 0.6)])  # hardly any: what tells it from a bass drum
    # Noise at the onset of pulses, as of a plucked string or a filter that opens.
    click_level = 10 ** (rng.uniform(-45, -6) / 20) if pulsed and rng.random() < 0.8 else 0
    click_decay, click_center_hz = rng.uniform(0.005, 0.25), 100 * 2 ** rng.uniform(0, 6)
    click_varies = pulsed and rng.random() < 0.6  # from note to note, as under a modulated filter
    click_slope = 1.5 if rng.random() < 0.5 else rng.uniform(1.5, 10)
    noise = np.random.default_rng(rng.getrandbits(32))
    drive = rng.choice([0, 0, rng.uniform(0.5, 3)])
    detune_cents = rng.choice([0, 0, rng.uniform(2, 12)])  # of left against right
    for start, length, key, velocity in notes:
        begin = int(start * SAMPLE_RATE_HZ)
        if begin >= num_samples:
            continue
        length = min(max(length * gate, 0.05), max_length)
        count = min(int((length + release) * SAMPLE_RATE_HZ), num_samples - begin)
        t = np.arange(count, dtype=np.float32) / SAMPLE_RATE_HZ
        pitch_hz = 440 * 2 ** ((min(127, max(12, key + shift)) - 69) / 12)
        level = (sustain + (1 - sustain) * np.exp(-t / amplitude_decay)) * np.minimum(1, t / attack)
        level *= np.clip((length + release - t) / release, 0, 1) * (velocity / 127) ** 1.3
        corner = cutoff_hz * 2 ** (envelope_octaves * np.exp(-t / filter_decay))
        click = np.zeros(count, np.float32)
        if click_varies:
            click_decay, click_center_hz = 10 ** rng.uniform(-2.3, -0.5), 100 * 2 ** rng.uniform(0, 7)
        if click_level:
            spectrum = np.fft.rfft(noise.standard_normal(count))
            octaves = np.log2(np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ), 1) / click_center_hz)
            burst = np.fft.irfft(spectrum * np.exp2(-np.abs(octaves) * click_slope), count)
            burst *= rng.uniform(0.2, 1) * click_level * np.exp(-t / click_decay) / max(1e-9, float(burst.std()))
            click = burst.astype(np.float32)
        highest = min(48, int(min(15000, 8 * float(corner.max())) / pitch_hz)) if shape != "sine" else 1
        t = t + pitch_drop * drop_seconds * (1 - np.exp(-t / drop_seconds))  # the phase of a falling pitch
        phase = rng.random() if pulsed else 0  # of an oscillator that runs on between notes: it begins with a step
        for channel in (0, 1):
            f = pitch_hz * 2 ** ((channel - 0.5) * detune_cents / 1200)
            note = sub_level * np.sin(math.pi * (f * t + phase), dtype=np.float32)
            for k in range(1, max(1, highest) + 1):
                if shape in ("square", "triangle") and k % 2 == 0:
                    continue
                weight = 1 / k if shape in ("saw", "square") else (-1) ** (k // 2) / k ** 2
                gain = weight / (1 + (k * f / corner) ** (2 * slope)) ** 0.5
                note += gain * np.sin(2 * math.pi * ((k * (f * t + phase)) % 1), dtype=np.float32)
            out[begin:begin + count, channel] += (note + click) * level
            if detune_cents == 0:
                out[begin:begin + count, 1] = out[begin:begin + count, 0]
                break
    out *= 0.25 / max(1e-6, float(np.abs(out).max()))
    if pulsed and rng.random() < 0.75:
        # Wide above some 300 Hz, as by a chorus: delayed copies that differ in the two channels.
        spectrum = np.fft.rfft(out.mean(1))
        corner_hz = 150 * 2 ** rng.uniform(0, 2)
        high = np.fft.irfft(spectrum / (1 + (corner_hz / np.maximum(1, np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ))) ** 4),
                            num_samples)
        for channel in (0, 1):
            for _ in range(rng.choice([1, 2, 3])):
                out[:, channel] += rng.uniform(-0.8, 0.8) * np.roll(high, int(rng.uniform(0.0005, 0.03) * SAMPLE_RATE_HZ))
    # As in real mixes, hardly ever the same in both channels.
    out *= 10 ** (np.array([1, -1], np.float32) * rng.gauss(0, 1) / 20)
    if drive:
        out = np.tanh(out * 4 * drive) * (0.25 / math.tanh(drive))
    return out


def sequenced_notes(notes, rng, begin, end):
    """Notes from begin to end (seconds) as a step sequencer plays them: a bar of sixteenths again and again, on a key or two
    of `notes`."""
    step = 15 / rng.uniform(95, 150)
    density, keys = rng.uniform(0.3, 0.8), [rng.choice(notes)[2] for _ in range(rng.choice([1, 1, 2]))]
    bar = [(rng.choice(keys), rng.randint(70, 127)) if rng.random() < density else None for _ in range(16)]
    sequence, at = [], begin
    while at < end:
        for slot in bar:
            if slot and at < end:
                sequence.append((at, step * rng.uniform(0.6, 1.2), *slot))
            at += step
    return sequence


def render_synth_bass(notes, rng, transpose, seconds, pulsed, path):
    """A song's bass on one patch; or, if `pulsed`, on a new one every few seconds, so that few songs hold many patches, and
    half of the time with the rhythm of a step sequencer instead of the song's."""
    import numpy as np

    num_samples = int(seconds * SAMPLE_RATE_HZ)
    if pulsed:
        out = np.zeros((num_samples, 2), np.float32)
        begin, end = 0.0, min(seconds, max(start for start, *_ in notes) + 1)
        while begin < end:
            stop = begin + rng.uniform(3, 7)
            part = [note for note in notes if begin <= note[0] < stop]
            if rng.random() < 0.5:
                part = sequenced_notes(notes, rng, begin, min(stop, end))
            first, last = int(begin * SAMPLE_RATE_HZ), min(num_samples, int((stop + 0.5) * SAMPLE_RATE_HZ))
            if part and first < last:
                part = [(start - begin, *rest) for start, *rest in part]
                out[first:last] += synth_bass(part, rng, transpose, last - first, True) * 10 ** (rng.uniform(-6, 0) / 20)
            begin = stop
    else:
        out = synth_bass(notes, rng, transpose, num_samples, False)
    write_wav(path, out)
    if rng.random() < 0.6:
        wet = path.with_suffix(".wet.wav")
        run("sox", "-D", path, wet, "reverb", rng.uniform(5, 70), rng.uniform(20, 90), rng.uniform(10, 100), 100, 0,
            rng.uniform(-10, 2))
        wet.replace(path)


def write_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((samples * 32767).clip(-32768, 32767).astype("<i2").tobytes())


def num_frames(path):
    with wave.open(str(path)) as file:
        return file.getnframes()


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def peak_of_sum(paths, seconds):
    command = ["sox", *(["-m"] if len(paths) > 1 else []), *sum((["-v", "1", str(p)] for p in paths), []),
               "-n", "trim", "0", str(seconds), "stat"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return max(abs(float(line.split()[-1])) for line in text.splitlines()
               if line.startswith(("Maximum amplitude", "Minimum amplitude")))


def render(midi, options, fonts):
    """Renders one song into options.out/<name>; returns what was done, as text."""
    target = options.out / midi.stem
    if target.exists():
        return "there already"
    rng = random.Random(f"{options.seed}/{midi.stem}")
    division, events = parse(midi.read_bytes())
    transpose, tempo = rng.randint(-3, 3), rng.uniform(0.9, 1.1)
    reverb, peak_db = rng.random() < 0.6, rng.uniform(*options.peak_db)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        raw = {}
        for group in options.groups:
            font = rng.choice(fonts[group]) if fonts[group] else None
            kit = rng.choice(options.drum_kits) if group == "drums" and options.drum_kits else None
            num_notes, data = group_file(division, events, group, transpose, tempo, kit)
            if num_notes < 8:
                continue
            path = folder / f"{group}.raw.wav"
            if group == "bass" and rng.random() < options.synth_bass:
                render_synth_bass(timed_bass_notes(division, events, tempo), rng, transpose, options.max_seconds,
                                  options.pulsed, path)
            else:
                (folder / f"{group}.mid").write_bytes(data)
                run("fluidsynth", "-q", "-n", "-i", "-F", path, "-T", "wav", "-O", "s16", "-r", SAMPLE_RATE_HZ, "-g", "0.2",
                    "-o", f"synth.reverb.active={int(reverb)}", "-o", "synth.chorus.active=0",
                    "-o", "synth.dynamic-sample-loading=1", font,
                    folder / f"{group}.mid")
            raw[group] = path
        if not raw:
            return "no notes"
        peak = peak_of_sum(list(raw.values()), options.max_seconds)
        if peak < 1e-4:
            return "silent"
        temporary = options.out / f".{midi.stem}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        gain = 10 ** (peak_db / 20) / peak  # one for all groups: their balance is the song's
        for group, path in raw.items():
            run("sox", "-D", "-v", gain, path, temporary / f"{group}.wav", "trim", "0", options.max_seconds)
        if max(num_frames(temporary / f"{group}.wav") for group in raw) < 10 * SAMPLE_RATE_HZ:
            shutil.rmtree(temporary)
            return "left out: shorter than 10 s"
        temporary.rename(target)
    return ", ".join(raw)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=pathlib.Path, required=True, nargs="+", help="MIDI files")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for <song>/{bass,drums,other}.wav")
    parser.add_argument("--soundfont", action="append", default=[], metavar="GROUP=FILE",
                        help="a font that may play the group: all, bass, drums or other; again for more, twice the same "
                             "font for twice the share")
    parser.add_argument("--synth-bass", type=float, default=0, metavar="SHARE",
                        help="share of songs whose bass a synthesizer with a random patch plays, 0 to 1 (default 0)")
    parser.add_argument("--pulsed", action="store_true",
                        help="the synthesizer plays nothing but sub-basses in short pulses, as tuned bass drums do")
    parser.add_argument("--drum-kits", type=int, nargs="+", default=[], metavar="PROGRAM",
                        help="play the drums with one of these programs instead of the song's")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=GROUPS)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--max-seconds", type=float, default=75, help="length at which songs are cut (default 75)")
    parser.add_argument("--peak-db", type=float, nargs=2, default=[-8, -1], metavar=("LOW", "HIGH"),
                        help="range of the songs' peaks in dB of full scale (default -8 -1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    fonts = {group: [] for group in GROUPS}
    for item in options.soundfont:
        group, _, path = item.partition("=")
        if group not in (*GROUPS, "all") or not os.path.isfile(path):
            parser.error(f"--soundfont {item}: expected GROUP=FILE with GROUP all, bass, drums or other and a file that exists")
        for name in GROUPS if group == "all" else [group]:
            fonts[name].append(path)
    for group in options.groups:
        if not fonts[group] and not (group == "bass" and options.synth_bass >= 1):
            parser.error(f"no --soundfont for {group}")
    options.out.mkdir(parents=True, exist_ok=True)
    num_failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = {pool.submit(render, midi, options, fonts): midi for midi in sorted(options.midi)}
        for i, future in enumerate(concurrent.futures.as_completed(work)):
            try:
                text = future.result()
            except (OSError, ValueError, IndexError, struct.error, subprocess.CalledProcessError) as error:
                text, num_failed = f"failed: {error}", num_failed + 1
            print(f"[{i + 1}/{len(work)}] {work[future].stem}: {text}", flush=True)
    raise SystemExit(1 if num_failed == len(work) else 0)


if __name__ == "__main__":
    main()
