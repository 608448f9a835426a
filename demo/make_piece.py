#!/usr/bin/env python3
"""Makes demo/piece.flac and demo/stems/*.flac from the score in this file.

Needs the commands fluidsynth and sox, the library of espeak-ng, a General MIDI soundfont (Debian: fluid-soundfont-gm),
and the Python packages numpy and pyworld (README.md has the commands). Bass, drums and the accompaniment are played by
fluidsynth. The voice is espeak-ng reading each line of the lyrics; its phonemes are laid on the notes and its pitch is
replaced by the melody with the WORLD vocoder. Random numbers are seeded, so a second run makes the same files.

The stems sum to the piece exactly, sample for sample, in 16 bits.
"""

import argparse
import ctypes
import ctypes.util
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import pyworld

RATE_HZ = 44100
TEMPO_BPM = 108.0
BEAT_SECONDS = 60.0 / TEMPO_BPM
NUM_BARS = 12
LEAD_IN_SECONDS = 0.1
DURATION_SECONDS = LEAD_IN_SECONDS + NUM_BARS * 4 * BEAT_SECONDS + 0.5
NUM_FRAMES = int(DURATION_SECONDS * RATE_HZ)
PEAK_DBFS = -1.0
SOURCES = ("vocals", "bass", "drums", "other")
# Empty bands keep the files small: the highest frequency of each source, and of its difference of left and right.
HIGHEST_HZ = {"vocals": (10500, 4000), "bass": (5000, 5000), "drums": (12500, 5000), "other": (9500, 5000)}

# ---------------------------------------------------------------------------------------------------------------------
# The score. Times are in quarter notes from the first bar line, pitches are MIDI note numbers.
# Bar 0: intro. Bars 1 to 4: verse. 5 and 6: bridge. 7 to 10: chorus. 11: end.

G, D_FS, EM, C, AM7, D, DSUS = "G", "D/F#", "Em", "C", "Am7", "D", "Dsus4"
CHORDS = [[G, G], [EM, EM], [C, C], [G, G], [D_FS, D_FS], [AM7, AM7], [DSUS, D],  # one for each half bar
          [G, G], [D, D], [EM, EM], [C, C], [G, G]]
CHORD_NOTES = {G: (55, 59, 62, 67), D_FS: (54, 57, 62, 66), EM: (55, 59, 64, 67), C: (55, 60, 64, 67),
               AM7: (55, 57, 60, 64), D: (54, 57, 62, 66), DSUS: (55, 57, 62, 67)}
STRUM_NOTES = {G: (43, 47, 50, 55, 59, 67), D_FS: (42, 50, 57, 62, 66), EM: (40, 47, 52, 55, 59, 64),
               C: (48, 52, 55, 60, 64), AM7: (45, 52, 55, 60, 64), D: (50, 57, 62, 66), DSUS: (50, 57, 62, 67)}
POWER_NOTES = {G: (43, 50, 55), D: (50, 57, 62), EM: (40, 47, 52), C: (48, 55, 60)}


def eighths(bar, pitches, last_beats):
    """A line of eighth notes from the start of a bar, the last one held for `last_beats`."""
    start = 4 * bar
    notes = [(start + 0.5 * i, 0.5, pitch) for i, pitch in enumerate(pitches)]
    notes[-1] = (notes[-1][0], last_beats, pitches[-1])
    return notes


def notes_at(bar, *notes):
    return [(4 * bar + beat, beats, pitch) for beat, beats, pitch in notes]


# Each line: the words (one note for each syllable), the melody, and the pitches of the second voice.
LINES = [
    ("late at night I hear the line", eighths(1, (59, 59, 59, 57, 59, 62, 59), 0.8), None),
    ("humming low in four four time", eighths(2, (57, 55, 52, 55, 57, 57, 55), 0.8), None),
    ("every voice a thread of light", eighths(3, (59, 59, 59, 62, 62, 59, 57), 0.8), None),
    ("winding slowly out of sight", eighths(4, (57, 55, 57, 59, 57, 55, 54), 0.8), None),
    ("I can hear them every one", eighths(5, (57, 59, 60, 60, 60, 59, 57), 0.8), None),
    ("pull the thread and let them come", eighths(6, (57, 59, 60, 62, 62, 64, 62), 0.8), None),
    ("bring it home", notes_at(7, (0, 0.5, 62), (0.5, 0.5, 62), (1, 1.2, 67)), (59, 59, 62)),
    ("bring it home", notes_at(7, (2.5, 0.5, 64), (3, 0.5, 62), (3.5, 1.1, 66)), (59, 59, 62)),
    ("one by one they come", notes_at(8, (1, 0.5, 64), (1.5, 0.5, 62), (2, 0.5, 64), (2.5, 0.5, 66), (3, 0.75, 62)),
     (57, 57, 57, 62, 57)),
    ("bring it home", notes_at(9, (0, 0.5, 62), (0.5, 0.5, 62), (1, 1.2, 67)), (59, 59, 64)),
    ("bring it home", notes_at(9, (2.5, 0.5, 67), (3, 0.5, 66), (3.5, 1.1, 64)), (64, 62, 60)),
    ("every song is one", notes_at(10, (1, 0.5, 64), (1.5, 0.5, 62), (2, 0.5, 64), (2.5, 1, 62), (3.5, 2.9, 62)),
     (60, 59, 60, 59, 59)),
]

# Bass: (beat in the bar, length in beats, pitch, velocity).
BASS = [
    [(2, 0.9, 31, 100), (3, 0.45, 31, 92), (3.5, 0.45, 30, 96)],
    [(0, 1.2, 28, 108), (1.5, 0.4, 28, 84), (2, 0.9, 40, 100), (3, 0.45, 35, 92), (3.5, 0.45, 38, 96)],
    [(0, 1.2, 36, 108), (1.5, 0.4, 36, 84), (2, 0.9, 43, 100), (3, 0.45, 36, 94), (3.5, 0.45, 33, 96)],
    [(0, 1.2, 31, 108), (1.5, 0.4, 31, 84), (2, 0.9, 38, 100), (3, 0.45, 35, 92), (3.5, 0.45, 31, 98)],
    [(0, 1.2, 30, 108), (1.5, 0.4, 30, 84), (2, 0.9, 38, 100), (3, 0.45, 30, 92), (3.5, 0.22, 30, 90),
     (3.75, 0.22, 32, 96)],
    [(0, 0.9, 33, 108), (1, 0.45, 33, 88), (1.5, 0.45, 40, 96), (2, 0.9, 43, 102), (3, 0.45, 40, 94),
     (3.5, 0.45, 36, 96)],
    [(0, 0.9, 38, 108), (1, 0.45, 38, 90), (1.5, 0.45, 45, 98), (2, 0.45, 38, 100), (2.5, 0.45, 36, 98),
     (3, 0.45, 35, 102), (3.5, 0.45, 33, 104)],
    [(0, 0.45, 31, 116), (0.5, 0.45, 31, 92), (1, 0.45, 43, 104), (1.5, 0.45, 31, 94), (2, 0.45, 31, 106),
     (2.5, 0.45, 31, 92), (3, 0.45, 35, 102), (3.5, 0.45, 38, 112)],
    [(0, 0.45, 38, 104), (0.5, 0.45, 38, 92), (1, 0.45, 45, 104), (1.5, 0.45, 38, 94), (2, 0.45, 38, 106),
     (2.5, 0.45, 36, 96), (3, 0.45, 33, 102), (3.5, 0.45, 30, 106)],
    [(0, 0.45, 28, 116), (0.5, 0.45, 28, 92), (1, 0.45, 40, 104), (1.5, 0.45, 28, 94), (2, 0.45, 28, 106),
     (2.5, 0.45, 31, 96), (3, 0.45, 35, 102), (3.5, 0.45, 36, 112)],
    [(0, 0.45, 36, 104), (0.5, 0.45, 36, 92), (1, 0.45, 43, 104), (1.5, 0.45, 36, 94), (2, 0.45, 36, 106),
     (2.5, 0.45, 35, 98), (3, 0.45, 33, 102), (3.5, 1.4, 31, 112)],
    [(1, 0.45, 38, 96), (1.5, 0.45, 35, 98), (2, 1.9, 31, 112)],
]

KICK, SNARE, RIM, HAT, PEDAL, OPEN_HAT, RIDE, CRASH = 36, 38, 37, 42, 44, 46, 51, 49
TOM_HIGH, TOM_MID, TOM_LOW, TOM_FLOOR = 50, 47, 45, 41


def drum_bars():
    """Drums: for each bar a list of (beat, key, velocity)."""

    def hats(last_beat, key=HAT, loud=92, soft=66):
        return [(0.5 * i, key, loud if i % 2 == 0 else soft) for i in range(int(2 * last_beat))]

    verse = [(0, KICK, 112), (1, SNARE, 106), (1.5, KICK, 88), (2.5, KICK, 104), (3, SNARE, 110)]
    ghosts = [(1.75, SNARE, 38), (2.25, SNARE, 34)]
    chorus = [(0, KICK, 118), (1, SNARE, 118), (1.5, KICK, 100), (2, KICK, 108), (2.5, KICK, 92), (3, SNARE, 120)]
    rides = hats(4, RIDE, 96, 74)
    small_fill = [(3.25, SNARE, 60), (3.5, SNARE, 88), (3.75, TOM_LOW, 96)]
    toms = [(2, SNARE, 96), (2.25, SNARE, 80), (2.5, TOM_HIGH, 104), (2.75, TOM_HIGH, 88), (3, TOM_MID, 108),
            (3.25, TOM_LOW, 98), (3.5, TOM_FLOOR, 114), (3.75, TOM_FLOOR, 104)]
    return [
        [(0, HAT, 80), (1, HAT, 84), (2, SNARE, 84), (2.25, SNARE, 58), (2.5, SNARE, 94), (3, TOM_MID, 102),
         (3.25, TOM_LOW, 90), (3.5, TOM_FLOOR, 108), (3.5, KICK, 98), (3.75, SNARE, 104)],
        [(0, CRASH, 98)] + verse + hats(4)[1:],
        verse + ghosts + hats(4),
        verse + hats(3.5) + [(3.5, OPEN_HAT, 84)],
        verse + ghosts + hats(3) + small_fill,
        verse + hats(4) + [(3.75, KICK, 90)],
        [(0, KICK, 114), (1, SNARE, 108), (1.5, KICK, 96)] + hats(2) + toms + [(2, KICK, 100), (3, KICK, 104)],
        [(0, CRASH, 116)] + chorus + rides[1:],
        chorus + rides + [(3.5, KICK, 96), (3.75, SNARE, 48)],
        [(0, CRASH, 104)] + chorus + rides[1:] + [(0.5, OPEN_HAT, 70)],
        chorus[:5] + rides[:5] + [(2.5, SNARE, 92), (2.75, TOM_HIGH, 98), (3, SNARE, 112), (3.25, TOM_LOW, 104),
                                  (3.5, CRASH, 116), (3.5, KICK, 116)],
        [(0.5, HAT, 70), (1, SNARE, 104), (1, HAT, 80), (1.25, TOM_MID, 90), (1.5, TOM_LOW, 98), (1.75, TOM_FLOOR, 106),
         (2, KICK, 120), (2, CRASH, 112), (2, SNARE, 90)],
    ]


def electric_piano():
    notes = []
    for bar, (first, second) in enumerate(CHORDS):
        if bar == NUM_BARS - 1:
            hits = [(0, 1.9, first, 70), (2, 2.6, second, 78)]
        elif 7 <= bar:
            hits = [(0, 1.4, first, 84), (1.5, 0.45, first, 66), (2, 1.4, second, 80), (3.5, 0.45, second, 70)]
        else:
            hits = [(0, 1.9, first, 76), (2.5, 1.4, second, 66)]
        for beat, beats, chord, velocity in hits:
            notes += [(4 * bar + beat, beats, pitch, velocity) for pitch in CHORD_NOTES[chord]]
    return notes


def strummed_guitar():
    """Down strokes on the beats, up strokes between; the strings follow each other by a few milliseconds."""
    rhythm = [(0, 1, 96), (1, 1, 84), (1.5, -1, 70), (2.5, -1, 80), (3, 1, 92), (3.5, -1, 72)]
    notes = []
    for bar, halves in enumerate(CHORDS[:NUM_BARS - 1]):
        for i, (beat, direction, velocity) in enumerate(rhythm):
            end = rhythm[i + 1][0] if i + 1 < len(rhythm) else 4.0
            strings = STRUM_NOTES[halves[int(beat >= 2)]][::direction]
            if direction < 0:
                strings = strings[:4]
            for n, pitch in enumerate(strings):
                notes.append((4 * bar + beat + 0.02 * n, 0.96 * (end - beat), pitch, velocity - 3 * n))
    last = 4 * (NUM_BARS - 1)
    notes += [(last + 2 + 0.03 * n, 2.6, pitch, 88) for n, pitch in enumerate(STRUM_NOTES[G])]
    return notes


def overdriven_guitar():
    """Chorus only: power chords, damped on the beat."""
    notes = []
    for bar in range(7, 11):
        for i in range(8):
            if i == 3:
                continue
            beats = 0.9 if i == 2 else (0.48 if i in (0, 6, 7) else 0.3)
            for pitch in POWER_NOTES[CHORDS[bar][i // 4]]:
                notes.append((4 * bar + 0.5 * i, beats, pitch, 104 if i in (0, 7) else 84))
    return notes + [(44, 3.4, pitch, 96) for pitch in POWER_NOTES[G]]


def strings():
    """Bridge and chorus: one long chord a bar."""
    return [(4 * bar, 3.95, pitch, 62 if bar < 7 else 76)
            for bar in range(5, NUM_BARS) for pitch in [p + 12 for p in CHORD_NOTES[CHORDS[bar][1]][:3]]]


# ---------------------------------------------------------------------------------------------------------------------
# Instruments: MIDI files played by fluidsynth.


def variable_length(value):
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([0x80 | (value & 0x7F)]) + out
    return out


def midi_file(notes, program, channel):
    """`notes`: (seconds, seconds, pitch, velocity). One tick is 1 ms."""
    events = [(0, 0, bytes([0xC0 | channel, program]))]
    for start, length, pitch, velocity in notes:
        on = round(1000 * start)
        off = max(on + 1, round(1000 * (start + length)))
        events.append((on, 2, bytes([0x90 | channel, pitch, velocity])))
        events.append((off, 1, bytes([0x80 | channel, pitch, 0])))
    events.sort()
    track = b"\x00\xff\x51\x03" + (1000000).to_bytes(3, "big")  # 1000 ticks, one second
    now = 0
    for tick, _, message in events:
        track += variable_length(tick - now) + message
        now = tick
    track += variable_length(max(0, round(1000 * DURATION_SECONDS) - now)) + b"\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1000) + b"MTrk" + struct.pack(">I", len(track)) + track


def play(work, soundfont, name, score, program, seed, channel=0, timing_ms=4.0, velocity_spread=4.0):
    """The notes of `score` (beats) as [NUM_FRAMES, 2] float64, played with a little human inaccuracy."""
    random = np.random.default_rng(seed)
    notes = []
    for beat, beats, pitch, velocity in score:
        start = LEAD_IN_SECONDS + beat * BEAT_SECONDS + 1e-3 * float(np.clip(random.normal(0, timing_ms), -12, 12))
        velocity = int(np.clip(round(velocity + random.normal(0, velocity_spread)), 1, 127))
        notes.append((start, beats * BEAT_SECONDS, pitch, velocity))
    midi_path = work / f"{name}.mid"
    raw_path = work / f"{name}.raw"
    midi_path.write_bytes(midi_file(notes, program, channel))
    subprocess.run(["fluidsynth", "-n", "-i", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE_HZ),
                    "-O", "float", "-T", "raw", "-F", str(raw_path), str(soundfont), str(midi_path)],
                   check=True, stdout=subprocess.DEVNULL)
    samples = np.fromfile(raw_path, "<f4").astype(np.float64).reshape(-1, 2)
    if not np.abs(samples).max() > 1e-3:
        raise RuntimeError(f"{name}: fluidsynth gave silence; is {soundfont} a General MIDI soundfont?")
    return fit(samples)


def fit(samples):
    out = np.zeros((NUM_FRAMES, 2))
    count = min(NUM_FRAMES, len(samples))
    out[:count] = samples[:count]
    return out


# ---------------------------------------------------------------------------------------------------------------------
# Mixing tools. Filters work on the whole signal at once, in the frequency domain.


def equalise(samples, gain_of_hz):
    padded = len(samples) + RATE_HZ // 2
    spectrum = np.fft.rfft(samples, padded, axis=0)
    gain = gain_of_hz(np.fft.rfftfreq(padded, 1 / RATE_HZ))
    return np.fft.irfft(spectrum * gain.reshape((-1,) + (1,) * (samples.ndim - 1)), padded, axis=0)[:len(samples)]


def high_pass(hz, order=2):
    return lambda f: 1 / np.sqrt(1 + (hz / np.maximum(f, 1e-3)) ** (2 * order))


def low_pass(hz, order=2):
    return lambda f: 1 / np.sqrt(1 + (f / hz) ** (2 * order))


def bell(hz, octaves, gain_db):
    return lambda f: 10 ** (gain_db / 20 * np.exp(-0.5 * (np.log2(np.maximum(f, 1) / hz) / octaves) ** 2))


def chain(*gains):
    return lambda f: np.prod([gain(f) for gain in gains], axis=0)


def reverb(samples, seconds, pre_delay_ms, seed, width=0.6, low_hz=250, high_hz=5000):
    """The wet part only: convolution with decaying noise, darker at the end. `width`: 0 mono, 1 wide."""
    random = np.random.default_rng(seed)
    length = int(1.2 * seconds * RATE_HZ)
    noise = random.standard_normal((length, 3))
    noise = (1 - width) * noise[:, :1] + width * noise[:, 1:]
    time = np.arange(length)[:, None] / RATE_HZ
    bright = equalise(noise, chain(high_pass(low_hz), low_pass(high_hz, 6)))
    dark = equalise(noise, chain(high_pass(low_hz), low_pass(high_hz / 3, 4)))
    response = (bright * 0.001 ** (time / (0.6 * seconds)) + dark * 0.001 ** (time / seconds))
    response *= np.minimum(1, time / 0.004)
    response /= np.sqrt((response ** 2).sum(axis=0, keepdims=True))
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    delay = int(1e-3 * pre_delay_ms * RATE_HZ)
    size = len(mono) + length + delay
    wet = np.fft.irfft(np.fft.rfft(mono, size)[:, None] * np.fft.rfft(response, size, axis=0), size, axis=0)
    out = np.zeros((len(mono), 2))
    out[delay:] = wet[:len(mono) - delay]
    return out


def smooth_db(values, attack_seconds, release_seconds, step_seconds):
    """One-pole follower with different times up and down."""
    up = np.exp(-step_seconds / attack_seconds)
    down = np.exp(-step_seconds / release_seconds)
    out = np.empty_like(values)
    state = values[0]
    for i, value in enumerate(values):
        rate = up if value > state else down
        state = rate * state + (1 - rate) * value
        out[i] = state
    return out


def compress(samples, threshold_db, ratio, attack_seconds=0.008, release_seconds=0.12):
    step = 64
    mono = np.abs(samples) if samples.ndim == 1 else np.abs(samples).max(axis=1)
    blocks = np.pad(mono, (0, -len(mono) % step)).reshape(-1, step).max(axis=1)
    level_db = smooth_db(20 * np.log10(blocks + 1e-5), attack_seconds, release_seconds, step / RATE_HZ)
    gain_db = -np.maximum(0, level_db - threshold_db) * (1 - 1 / ratio)
    gain = 10 ** (np.interp(np.arange(len(mono)), step * (np.arange(len(blocks)) + 0.5), gain_db) / 20)
    return samples * (gain if samples.ndim == 1 else gain[:, None])


def limiter_gain(samples, ceiling):
    """A gain for each frame, with 4 ms of foresight, that keeps |samples| at most at `ceiling`."""
    need = np.minimum(1, ceiling / np.maximum(np.abs(samples).max(axis=1), 1e-9))
    ahead = int(0.004 * RATE_HZ)
    padded = np.pad(need, ahead, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * ahead + 1).min(axis=1)
    held = np.empty_like(lowest)
    recover = np.exp(-1 / (0.08 * RATE_HZ))
    state = 1.0
    for i, value in enumerate(lowest):
        state = min(value, 1 - (1 - state) * recover)
        held[i] = state
    window = np.hanning(2 * ahead + 3)[1:-1]
    return np.convolve(np.pad(held, ahead, mode="edge"), window / window.sum(), mode="valid")


def pan(samples, position):
    """`position` -1 left to 1 right, equal power."""
    angle = (position + 1) * np.pi / 4
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono], axis=1) * np.sqrt(2)


def active_rms(samples):
    """Root mean square over the 50 ms blocks that are at most 30 dB below the loudest."""
    step = RATE_HZ // 20
    power = (samples[:len(samples) // step * step] ** 2).reshape(-1, step * 2).mean(axis=1)
    return np.sqrt(power[power > 1e-3 * power.max()].mean())


def at_level(samples, level_dbfs):
    return samples * (10 ** (level_dbfs / 20) / active_rms(samples))


def db(value):
    return 20 * np.log10(value + 1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# The voice.

FRAME_SECONDS = 0.005
VOWELS = set("aeiouæɑɐɒɔəɚɛɜɝɪʊʌᵻ")
UNVOICED = set("ptkfsʃθhʔ")


class Speech:
    """espeak-ng's library: its command does not tell when each phoneme begins."""

    class Event(ctypes.Structure):
        _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
                    ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
                    ("user_data", ctypes.c_void_p), ("phoneme", ctypes.c_char * 8)]

    PHONEME_EVENT = 7

    def __init__(self, voice, words_per_minute):
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        self.library = ctypes.CDLL(name)
        self.rate_hz = self.library.espeak_Initialize(2, 0, None, 0x3)  # synchronous; phoneme events, in IPA
        if self.rate_hz <= 0 or self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng does not start with voice {voice}")
        for parameter, value in ((1, words_per_minute), (2, 100), (3, 50), (4, 0)):  # rate, volume, pitch, pitch range
            self.library.espeak_SetParameter(parameter, value, 0)
        self.samples, self.phonemes = [], []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(self.Event))
        self.callback = kind(self._receive)
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, wave, count, events):
        if wave and count > 0:
            self.samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while events[i].type != 0:
            if events[i].type == self.PHONEME_EVENT:
                self.phonemes.append((events[i].sample / self.rate_hz, events[i].phoneme.decode("utf-8", "ignore")))
            i += 1
        return 0

    def say(self, text):
        """Returns mono float64 at rate_hz and a list of (start in seconds, IPA name), names empty for pauses."""
        self.samples.clear()
        self.phonemes.clear()
        data = text.encode() + b"\x00"
        self.library.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
        self.library.espeak_Synchronize()
        return np.concatenate(self.samples) / 32768.0, list(self.phonemes)


def segments(phonemes, end_seconds):
    """(name, start, end) without the pauses."""
    starts = [start for start, _ in phonemes] + [end_seconds]
    return [(name, start, stop) for (start, name), stop in zip(phonemes, starts[1:]) if name and stop > start]


def is_vowel(name):
    return bool(VOWELS & set(name))


def time_map(parts, notes):
    """Knots (out seconds, in seconds) that put each vowel on its note and the consonants before it.

    Consonants keep their length, a little quicker than in speech; a vowel is stretched in its steady part. Also returns
    the (start, end) of each vowel in the output.
    """
    vowels = [i for i, part in enumerate(parts) if is_vowel(part[0])]
    if len(vowels) != len(notes):
        raise RuntimeError(f"{len(vowels)} syllables {[p[0] for p in parts]} for {len(notes)} notes")
    onsets = [LEAD_IN_SECONDS + beat * BEAT_SECONDS for beat, _, _ in notes]
    ends = [LEAD_IN_SECONDS + (beat + beats) * BEAT_SECONDS for beat, beats, _ in notes]

    def lengths(consonants, most):
        total = sum(0.8 * (stop - start) for _, start, stop in consonants)
        return 0.8 * min(1.0, most / max(total, 1e-6)), min(total, most)

    knots, spans = [], []
    first = parts[:vowels[0]]
    scale, total = lengths(first, 0.25)
    now = onsets[0] - total
    for i, index in enumerate(vowels):
        before = first if i == 0 else parts[vowels[i - 1] + 1:index]
        for _, start, stop in before:
            knots.append((now, start))
            now += scale * (stop - start)
            knots.append((now - 1e-6, stop))
        after = parts[index + 1:vowels[i + 1]] if i + 1 < len(vowels) else parts[index + 1:]
        if i + 1 < len(vowels):
            scale, total = lengths(after, 0.5 * (onsets[i + 1] - onsets[i]))
            vowel_end = onsets[i + 1] - total
        else:
            scale, total = lengths(after, 0.3)
            vowel_end = ends[i] - 0.5 * total
        name, start, stop = parts[index]
        length = stop - start
        knots.append((onsets[i], start))
        if vowel_end - onsets[i] > length:
            head, tail = (0.2, 0.35) if len(name.strip("ː")) > 1 else (0.35, 0.6)
            knots.append((onsets[i] + head * length, start + head * length))
            knots.append((vowel_end - (1 - tail) * length, start + tail * length))
        knots.append((vowel_end - 1e-6, stop))
        spans.append((onsets[i], vowel_end))
        now = vowel_end
        if i + 1 == len(vowels):
            for _, start, stop in after:
                knots.append((now, start))
                now += scale * (stop - start)
                knots.append((now - 1e-6, stop))
    return knots, spans


def sung_pitch(times, notes, pitches, spans, random, vibrato_hz):
    """MIDI pitch with decimals for each time: the notes, joined by short glides, with vibrato on the long ones."""
    pitch = np.full(len(times), float(pitches[0]))
    for (start, _), value in zip(spans, pitches):
        pitch[times >= start - 0.03] = value
    window = np.hanning(13)[1:-1]  # 55 ms
    pitch = np.convolve(np.pad(pitch, 5, mode="edge"), window / window.sum(), mode="valid")
    pitch -= 0.5 * np.exp(-np.maximum(0, times - times[0]) / 0.06)  # scooped into from below
    drift = np.convolve(random.standard_normal(len(times) + 40), np.hanning(41) / 12, mode="valid")
    pitch += 0.035 * drift[:len(times)]
    for start, end in spans:
        if end - start > 0.33:
            since = times - start
            depth = 0.2 * np.clip((since - 0.16) / 0.2, 0, 1) * (times < end)
            pitch += depth * np.sin(2 * np.pi * vibrato_hz * (since - 0.16))
    return pitch


def sing_line(speech, text, notes, pitches, random, formant_scale=1.0, vibrato_hz=5.4, late_seconds=0.0):
    """Returns (first frame, mono float64, vowel spans in seconds)."""
    spoken, phonemes = speech.say(text)
    parts = segments(phonemes, len(spoken) / speech.rate_hz)
    if 2 * speech.rate_hz != RATE_HZ:
        raise RuntimeError(f"espeak-ng speaks at {speech.rate_hz} Hz, 22050 expected")
    spoken = np.pad(spoken, 2205)
    spectrum = np.fft.rfft(spoken)
    spoken = 2 * np.fft.irfft(np.pad(spectrum, (0, len(spoken) + 1 - len(spectrum))), 2 * len(spoken))
    parts = [(name, start + 0.1, stop + 0.1) for name, start, stop in parts]

    f0, at = pyworld.harvest(spoken, RATE_HZ, f0_floor=60, f0_ceil=250, frame_period=1000 * FRAME_SECONDS)
    usual_hz = np.median(f0[f0 > 0])
    for name, start, stop in parts:
        inside = (at >= start) & (at < stop)
        if name[0] in UNVOICED:
            middle = (at >= start + 0.015) & (at < stop - 0.015)
            f0[middle] = 0
        else:
            f0[inside & (f0 == 0)] = usual_hz
    envelope = pyworld.cheaptrick(spoken, f0, at, RATE_HZ)
    noise = pyworld.d4c(spoken, f0, at, RATE_HZ)
    hz = np.linspace(0, RATE_HZ / 2, envelope.shape[1])
    band = (hz > 6500) & (hz < 8500)
    above = hz > 8500  # espeak-ng has next to nothing there: go on, falling, as breath
    level = np.exp(np.log(envelope[:, band] + 1e-16).mean(axis=1))[:, None]
    envelope[:, above] = np.maximum(envelope[:, above], level * (8500 / hz[above]) ** 4)
    noise[:, above] = 1 - 1e-6
    breath = np.clip((hz - 1500) / 7000, 0, 1) * 0.35
    noise = np.clip(np.maximum(noise, breath), 1e-6, 1 - 1e-6)

    knots, spans = time_map(parts, notes)
    begin, end = knots[0][0], knots[-1][0]
    times = np.arange(begin, end, FRAME_SECONDS)
    source = np.interp(times, [k[0] for k in knots], [k[1] for k in knots]) / FRAME_SECONDS
    low = np.clip(source.astype(int), 0, len(f0) - 2)
    part = (source - low)[:, None]
    log_envelope = np.log(envelope + 1e-16)
    sung_envelope = np.exp((1 - part) * log_envelope[low] + part * log_envelope[low + 1])
    sung_noise = (1 - part) * noise[low] + part * noise[low + 1]
    if formant_scale != 1.0:  # another throat for the second voice
        index = np.clip(np.arange(len(hz)) / formant_scale, 0, len(hz) - 1)
        near = np.minimum(index.astype(int), len(hz) - 2)
        rest = index - near
        sung_envelope = np.exp((1 - rest) * np.log(sung_envelope[:, near]) + rest * np.log(sung_envelope[:, near + 1]))
    pitch = sung_pitch(times, notes, pitches, spans, random, vibrato_hz)
    voiced = f0[np.rint(source).astype(int).clip(0, len(f0) - 1)] > 0
    sung_f0 = np.where(voiced, 440 * 2 ** ((pitch - 69) / 12), 0)
    sung = pyworld.synthesize(sung_f0, np.ascontiguousarray(sung_envelope), np.ascontiguousarray(sung_noise), RATE_HZ,
                              1000 * FRAME_SECONDS)
    fade = int(0.008 * RATE_HZ)
    sung[:fade] *= np.linspace(0, 1, fade)
    sung[-6 * fade:] *= np.linspace(1, 0, 6 * fade)
    return int((begin + late_seconds) * RATE_HZ), sung, spans


def breaths(starts, random):
    """A short breath before some of the lines."""
    out = np.zeros(NUM_FRAMES)
    for start in starts:
        length = int(0.17 * RATE_HZ)
        noise = equalise(random.standard_normal(length), chain(high_pass(1200), low_pass(5000), bell(1800, 0.4, 6)))
        first = int((start - 0.24) * RATE_HZ)
        out[first:first + length] += noise * np.hanning(length) ** 1.5 * np.linspace(0.4, 1, length)
    return out / max(np.abs(out).max(), 1e-9)


def sing():
    """Returns the lead voice and the second voice, dry mono, and the lead's notes as (start, end, MIDI pitch)."""
    speech = Speech("en-us", 125)
    random = np.random.default_rng(41)
    lead, second, sung_notes = np.zeros(NUM_FRAMES), np.zeros(NUM_FRAMES), []
    for text, notes, harmony in LINES:
        melody = [pitch for _, _, pitch in notes]
        voices = [(lead, melody, 1.0, 5.4, 0.0)]
        if harmony:
            voices.append((second, harmony, 1.06, 5.0, 0.012))
        for out, pitches, formant_scale, vibrato_hz, late in voices:
            first, sung, spans = sing_line(speech, text, notes, pitches, random, formant_scale, vibrato_hz, late)
            out[first:first + len(sung)] += sung[:NUM_FRAMES - first]
            if out is lead:
                sung_notes += [(start, end, pitch) for (start, end), pitch in zip(spans, pitches)]
    voice_eq = chain(high_pass(110), bell(300, 0.7, -1.5), bell(3000, 0.8, 4), bell(7200, 0.3, -5))
    lead, second = (equalise(voice / np.abs(voice).max(), voice_eq) for voice in (lead, second))
    lead = compress(lead, -24, 3.5)
    second = compress(second, -24, 3.5)
    lead /= np.abs(lead).max()
    second /= np.abs(second).max()
    lines_with_breath = [notes[0][0] for text, notes, _ in LINES if text.split()[0] in ("late", "every", "I", "bring")]
    lead += 0.04 * breaths([LEAD_IN_SECONDS + beat * BEAT_SECONDS for beat in lines_with_breath[:6]], random)
    return lead, second, sung_notes


# ---------------------------------------------------------------------------------------------------------------------
# The mix.


def make_stems(work, soundfont):
    """Float stems, [NUM_FRAMES, 2] each, and the lead's notes and dry samples for the check."""
    def part(name, score, program, seed, channel=0, **how):
        return play(work, soundfont, name, score, program, seed, channel, **how)

    lead, second, sung_notes = sing()
    vocals = pan(lead, 0.0) + 0.22 * (pan(second, -0.55) + pan(np.roll(second, 700), 0.55))
    vocals = vocals + 0.16 * at_level(reverb(lead + 0.4 * second, 1.3, 25, 51, low_hz=300), db(active_rms(vocals)))
    echo = equalise(np.roll(lead, int(0.75 * BEAT_SECONDS * RATE_HZ)), chain(high_pass(400), low_pass(3000)))
    vocals = at_level(vocals + 0.07 * pan(echo, 0.25), -19.5)

    score = [(4 * bar + beat, beats, pitch, velocity) for bar, notes in enumerate(BASS)
             for beat, beats, pitch, velocity in notes]
    bass = pan(part("bass", score, 33, 1, timing_ms=3).mean(axis=1), 0.0)
    bass = equalise(bass, chain(high_pass(35), bell(90, 0.6, 2), bell(800, 0.9, 4), low_pass(6000)))
    bass = compress(bass / np.abs(bass).max(), -16, 4)
    bass = np.tanh(1.6 * bass / np.abs(bass).max())  # an amplifier's warmth
    bass = at_level(equalise(bass, low_pass(5000, 3)), -20.5)

    score = [(4 * bar + beat, 0.4, key, velocity) for bar, hits in enumerate(drum_bars())
             for beat, key, velocity in hits]
    dry = part("drums", score, 0, 2, channel=9, timing_ms=3, velocity_spread=5)
    dry = equalise(dry, chain(bell(70, 0.5, 2), bell(400, 0.6, -3), bell(5000, 0.9, 2), low_pass(15000, 4)))
    dry /= np.abs(dry).max()
    room = reverb(compress(dry, -20, 3), 0.7, 6, 52, width=0.5, low_hz=200, high_hz=6000)
    drums = compress(dry, -12, 2.5, attack_seconds=0.012) + 0.22 * at_level(room, db(active_rms(dry)))
    drums = at_level(drums, -19.5)
    drums = at_level(drums * limiter_gain(drums, 0.7)[:, None], -19.5)

    piano = at_level(part("piano", electric_piano(), 4, 3), -25)
    piano = equalise(piano, chain(high_pass(150), bell(2000, 0.9, 3)))
    strum = at_level(pan(part("strum", strummed_guitar(), 25, 4, timing_ms=5, velocity_spread=6), -0.4), -25)
    strum = equalise(strum, chain(high_pass(140), low_pass(11000, 3)))
    drive = at_level(pan(part("drive", overdriven_guitar(), 29, 5), 0.45), -25.5)
    drive = equalise(drive, chain(high_pass(120), bell(1500, 0.8, 2), low_pass(6500, 3)))
    pad = at_level(equalise(part("strings", strings(), 48, 6), chain(high_pass(250), low_pass(7000, 3))), -30)
    other = piano + strum + drive + pad
    other = other + 0.15 * at_level(reverb(piano + strum + 1.5 * pad, 1.6, 18, 53), db(active_rms(other)))
    other = at_level(other, -20.5)
    stems = {"vocals": vocals, "bass": bass, "drums": drums, "other": other}
    for name, (highest_hz, side_highest_hz) in HIGHEST_HZ.items():
        middle = equalise(stems[name].mean(axis=1), chain(high_pass(25, 3), low_pass(highest_hz, 16)))
        side = 0.5 * (stems[name][:, 0] - stems[name][:, 1])
        side = equalise(side, chain(high_pass(25, 3), low_pass(side_highest_hz, 12)))
        stems[name] = np.stack([middle + side, middle - side], axis=1)
    return stems, lead, sung_notes


def master(stems):
    """One gain over time for all stems, so that their sum is limited; int16, the sum's peak at PEAK_DBFS."""
    ceiling = 10 ** (PEAK_DBFS / 20)
    gain = limiter_gain(sum(stems.values()), ceiling)
    lowest_gain = gain.min()
    fade = np.clip((NUM_FRAMES - np.arange(NUM_FRAMES)) / (0.5 * RATE_HZ), 0, 1)
    gain *= np.sin(0.5 * np.pi * fade) ** 2
    peak = np.abs(sum(stem * gain[:, None] for stem in stems.values())).max()
    out = {name: np.rint(stem * gain[:, None] * (32768 * ceiling / peak)).astype(np.int64)
           for name, stem in stems.items()}
    return out, lowest_gain


def write_flac(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    if np.abs(samples).max() > 32767:
        raise RuntimeError(f"{path}: clips")
    # -D: no dither, which would break the sum. 8 is FLAC's slowest and smallest.
    subprocess.run(["sox", "-D", "-t", "raw", "-e", "signed", "-b", "16", "-c", "2", "-r", str(RATE_HZ), "-L", "-",
                    "-C", "8", str(path)], input=samples.astype("<i2").tobytes(), check=True)


def read_flac(path):
    done = subprocess.run(["sox", "-D", str(path), "-t", "raw", "-e", "signed", "-b", "16", "-L", "-"],
                          stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, "<i2").astype(np.int64).reshape(-1, 2)


# ---------------------------------------------------------------------------------------------------------------------
# Checks.


def track_pitch(mono, centre, around_hz):
    """f0 by the peak of the normalised autocorrelation of 46 ms, within a fifth of `around_hz`. (Hz, strength)."""
    first = centre - 1024
    if first < 0 or first + 4096 > len(mono):
        return 0.0, 0.0
    block = mono[first:first + 2048]
    lags = np.arange(int(RATE_HZ / around_hz / 1.5), int(RATE_HZ / around_hz * 1.5) + 2)
    power = (block ** 2).sum()
    scores = np.array([(block * mono[first + lag:first + lag + 2048]).sum() /
                       np.sqrt(power * (mono[first + lag:first + lag + 2048] ** 2).sum() + 1e-12) for lag in lags])
    i = int(scores.argmax())
    if i in (0, len(lags) - 1):
        return 0.0, 0.0
    bend = scores[i - 1] - 2 * scores[i] + scores[i + 1]
    return RATE_HZ / (lags[i] + 0.5 * (scores[i - 1] - scores[i + 1]) / bend), float(scores[i])


def melody_share(mono, sung_notes):
    """Of the voiced 10 ms frames within the vowels: how many, and the share within 30 cents of the score."""
    good = voiced = 0
    for start, end, pitch in sung_notes:
        wanted_hz = 440 * 2 ** ((pitch - 69) / 12)
        for centre in range(int((start + 0.03) * RATE_HZ), int((end - 0.01) * RATE_HZ), RATE_HZ // 100):
            hz, strength = track_pitch(mono, centre, wanted_hz)
            if strength > 0.6:
                voiced += 1
                good += abs(1200 * np.log2(hz / wanted_hz)) < 30
    return voiced, good / max(voiced, 1)


def report(folder, lead, sung_notes, lowest_gain):
    piece = read_flac(folder / "piece.flac")
    stems = {name: read_flac(folder / "stems" / f"{name}.flac") for name in SOURCES}
    if not np.array_equal(piece, sum(stems.values())):
        raise RuntimeError("the stems do not sum to the piece")
    print(f"{len(piece) / RATE_HZ:.2f} s; the stems sum to the piece exactly; most limiting {db(lowest_gain):.1f} dB")
    for name, samples in (("piece", piece), *stems.items()):
        path = folder / ("piece.flac" if name == "piece" else f"stems/{name}.flac")
        unit = samples / 32768.0
        print(f"{name:7} peak {db(np.abs(unit).max()):6.2f} dBFS, RMS {db(np.sqrt((unit ** 2).mean())):6.2f}, "
              f"where it sounds {db(active_rms(unit)):6.2f}, {path.stat().st_size} bytes")
        seconds = [db(np.sqrt((unit[i:i + RATE_HZ] ** 2).mean())) for i in range(0, len(unit), RATE_HZ)]
        print("        RMS of each second:", " ".join(f"{value:.0f}" for value in seconds))
    for name, mono in (("lead voice, dry", lead), ("vocals stem", stems["vocals"].mean(axis=1) / 32768.0)):
        voiced, share = melody_share(mono, sung_notes)
        print(f"{name}: {100 * share:.1f} % of {voiced} voiced frames within 30 cents of the melody")
        if voiced < 500 or share < 0.9:
            raise RuntimeError("the voice does not follow the melody")


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soundfont", type=pathlib.Path, default="/usr/share/sounds/sf2/FluidR3_GM.sf2",
                        help="General MIDI soundfont that plays bass, drums and accompaniment (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=here,
                        help="folder for piece.flac and stems/ (default: the script's)")
    arguments = parser.parse_args()
    if not arguments.soundfont.is_file():
        parser.error(f"{arguments.soundfont}: no such soundfont; install fluid-soundfont-gm or give --soundfont")
    with tempfile.TemporaryDirectory() as work:
        stems, lead, sung_notes = make_stems(pathlib.Path(work), arguments.soundfont)
    stems, lowest_gain = master(stems)
    for name in SOURCES:
        write_flac(arguments.out / "stems" / f"{name}.flac", stems[name])
    write_flac(arguments.out / "piece.flac", sum(stems.values()))
    report(arguments.out, lead, sung_notes, lowest_gain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
