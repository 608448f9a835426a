#!/usr/bin/env python3
"""Compares "vqeval sdr" with museval on audio that is made here: bss_eval_museval_test.py VQEVAL

Every measure of every window and source has to agree within 0.01 dB, with NaN in the same places; the JSON files of the
tracks have to be museval's but for the last decimals, and the medians over windows and tracks those of its EvalStore.

museval is taken from this interpreter or from .venv-eval, which "scripts/setup.sh test museval" makes. Without it the test
is skipped (exit code 77).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV_PYTHON = ROOT / ".venv-eval" / "bin" / "python"
VERSION = "0.4.1"
TOLERANCE_DB = 0.01
MIN_WINDOWS = 200
METRICS = ("SDR", "SIR", "ISR", "SAR")
SEED = 20240229

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    import museval
    import numpy as np
    import soundfile
    from museval.aggregate import EvalStore, TrackStore
    from museval.version import _version
    from scipy.signal import lfilter
except ImportError as error:
    # sys.prefix tells a virtual environment from the Python that it links to.
    if VENV_PYTHON.exists() and Path(sys.prefix).resolve() != VENV_PYTHON.parent.parent.resolve():
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])
    print(f"[  SKIPPED ] Museval.AgreesWithBssEval ({error}; scripts/setup.sh test museval installs it)")
    sys.exit(77)

# museval names an exception by a path that NumPy has given up; it is raised for singular matrices.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    if not hasattr(np.linalg, "linalg"):
        np.linalg.linalg = types.SimpleNamespace(LinAlgError=np.linalg.LinAlgError)


class Maker:
    """Sources that are unlike each other, and estimates with filters, leakage and noise in them."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def source(self, index, num_frames, rate, channels):
        t = np.arange(num_frames)[:, None] / rate
        color = 0.3 + 0.15 * index
        sound = lfilter([1 - color], [1, -color], self.random.standard_normal((num_frames, channels)), axis=0)
        for harmonic in range(1, 6):
            phase = self.random.uniform(0, 2 * np.pi, (1, channels))
            sound = sound + 0.4 / harmonic * np.sin(2 * np.pi * 98 * 2 ** (0.4 * index) * harmonic * t + phase)
        # In steps of 16 bits, as recordings have them: without any noise floor filters can be anything.
        return np.round(0.12 * sound * (1 + 0.6 * np.sin(2 * np.pi * (0.3 + 0.2 * index) * t)) * 32768) / 32768

    def sources(self, count, num_frames, rate, channels=2):
        return np.array([self.source(i, num_frames, rate, channels) for i in range(count)])

    def estimates(self, references, leakage=0.2, noise=0.02):
        result = []
        for i, reference in enumerate(references):
            estimate = lfilter(0.1 * self.random.standard_normal(40) * 0.9 ** np.arange(40) + np.eye(1, 40)[0], [1],
                               reference, axis=0)
            for j, other in enumerate(references):
                if j != i:
                    estimate = estimate + leakage * lfilter(0.4 * self.random.standard_normal(12), [1], other, axis=0)
            result.append(estimate + noise * self.random.standard_normal(reference.shape))
        return result


def make_groups():
    """{name: (sources, {track: (rate, references, estimates)})}"""
    maker = Maker(SEED)
    rate = 8000
    four = {}

    references = maker.sources(4, int(5.4 * 44100), 44100)
    references[1][:, 1] = references[1][:, 0]  # in the middle
    references[3][:, 1] = 0  # on the left alone
    four["full rate"] = (44100, references, maker.estimates(references))

    references = maker.sources(4, 60 * rate + 2345, rate)
    references[0][: 7 * rate + 100] = 0  # begins late: seven windows of silence, and some more
    references[2][20 * rate : 23 * rate] = 0
    references[1][30 * rate : 31 * rate, 1] = -references[1][30 * rate : 31 * rate, 0]  # adds up to silence
    references[3][40 * rate : 41 * rate - 1] = 0  # but for one sample
    estimates = maker.estimates(references)
    estimates[3][50 * rate : 52 * rate] = 0
    four["silences"] = (rate, references, estimates)

    references = maker.sources(4, 30 * rate, rate)
    mixture = references.sum(axis=0)
    references[2] = references[1]  # two sources that are the same
    estimates = [mixture + 0.001 * maker.random.standard_normal(mixture.shape) for _ in references]
    four["mixture as estimate, equal sources"] = (rate, references, estimates)

    references = maker.sources(4, 61 * rate + 7000, rate, channels=1)
    four["mono"] = (rate, references, maker.estimates(references))

    references = maker.sources(4, 5607, rate)
    four["short"] = (rate, references, maker.estimates(references))

    references = maker.sources(4, 25 * rate + 1, rate)
    estimates = [estimate[: 24 * rate + 17] for estimate in maker.estimates(references)]
    four["estimates too short"] = (rate, references, estimates)

    references = maker.sources(4, 4 * rate, rate)
    estimates = [np.concatenate([estimate, 0.1 + estimate[:900]]) for estimate in maker.estimates(references)]
    four["estimates too long"] = (rate, references, estimates)

    references = maker.sources(4, 3 * rate, rate)
    estimates = maker.estimates(references)
    references[2][:] = 0
    four["silent source"] = (rate, references, estimates)

    references = maker.sources(4, 3 * rate, rate)
    estimates = maker.estimates(references)
    estimates[0][:] = 0
    four["silent estimate"] = (rate, references, estimates)

    two = {}
    for name, leakage, noise in (("good", 0.001, 0.0005), ("bad", 2.0, 0.5)):
        references = maker.sources(2, 16 * 16000 + 15999, 16000)
        two[name] = (16000, references, maker.estimates(references, leakage, noise))
    return {"four": (["vocals", "bass", "drums", "other"], four), "two": (["vocals", "accompaniment"], two)}


def write(folder, track, rate, names, signals):
    (folder / track).mkdir(parents=True)
    for name, signal in zip(names, signals):
        soundfile.write(folder / track / f"{name}.wav", signal.astype(np.float32), rate, subtype="FLOAT")


def read(folder, track, names):
    return [soundfile.read(folder / track / f"{name}.wav", always_2d=True)[0] for name in names]


def run_museval(references, estimates, rate, track, names):
    """A TrackStore, or None where museval refuses the track."""
    try:
        scores = museval.evaluate(references, estimates, win=rate, hop=rate, mode="v4")
    except ValueError as error:
        assert "non-silent" in str(error), error
        return None
    store = TrackStore(win=1.0, hop=1.0, track_name=track)
    for i, name in enumerate(names):
        sdr, isr, sir, sar = (values[i].tolist() for values in scores)
        store.add_target(target_name=name, values={"SDR": sdr, "SIR": sir, "ISR": isr, "SAR": sar})
    return store


NUMBER = re.compile(r'(?<=": )(-?\d+\.\d+|NaN)(?=,?\n)')


def compare(ours, theirs, track):
    """Number of windows and largest difference in dB of two JSON texts; exits where they disagree."""
    if NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        sys.exit(f"{track}: the JSON differs in more than numbers:\n{ours[:600]}\n--- expected\n{theirs[:600]}")
    ours, theirs = json.loads(ours), json.loads(theirs)
    largest = 0.0
    for mine, other in zip(ours["targets"], theirs["targets"]):
        for frame, expected in zip(mine["frames"], other["frames"]):
            where = f"{track}, {mine['name']}, {expected['time']} s"
            assert frame["time"] == expected["time"] and frame["duration"] == expected["duration"], where
            for metric in METRICS:
                found, wanted = frame["metrics"][metric], expected["metrics"][metric]
                if np.isnan(found) != np.isnan(wanted):
                    sys.exit(f"{where}: {metric} is {found}, museval has {wanted}")
                if np.isnan(wanted):
                    continue
                largest = max(largest, abs(found - wanted))
                if abs(found - wanted) > TOLERANCE_DB:
                    sys.exit(f"{where}: {metric} is {found}, museval has {wanted}")
    return len(theirs["targets"][0]["frames"]), largest


def compare_medians(store, summary, names):
    expected = store.agg_frames_tracks_scores()
    (row,) = [row for row in summary["rows"] if row["id"] == "estimate"]
    for name in names:
        for metric in METRICS:
            found, wanted = row["sources"][name][metric.lower()], expected[name][metric]
            if abs(found - wanted) > TOLERANCE_DB:
                sys.exit(f"median {metric} of {name} is {found}, museval has {wanted}")


def main():
    vqeval = sys.argv[1]
    if _version != VERSION:
        sys.exit(f"museval is {_version}, expected {VERSION}")
    print(f"seed {SEED}, NumPy {np.__version__}")
    windows, refused, largest = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as temporary:
        for group, (names, tracks) in make_groups().items():
            folder = Path(temporary) / group
            for track, (rate, references, estimates) in tracks.items():
                write(folder / "reference", track, rate, names, references)
                write(folder / "estimate", track, rate, names, estimates)
            subprocess.run([vqeval, "sdr", "--reference", folder / "reference", "--estimate", folder / "estimate",
                            "--sources", ",".join(names), "--out", folder / "out", "--no-trivial", "--quiet"], check=True)
            summary = json.loads((folder / "out" / "sdr.json").read_text())
            store = EvalStore()
            for track, (rate, _, _) in tracks.items():
                ours = folder / "out" / "sdr" / f"{track}.json"
                theirs = run_museval(read(folder / "reference", track, names), read(folder / "estimate", track, names),
                                     rate, track, names)
                if theirs is None:
                    reasons = [item["why"] for item in summary["left_out"] if item["track"] == track]
                    if ours.exists() or not any("silent throughout" in why for why in reasons):
                        sys.exit(f"{track}: museval refuses it, vqeval says {reasons}")
                    refused += 1
                    print(f"{track}: refused by both")
                    continue
                store.add_track(theirs)
                count, difference = compare(ours.read_text(), theirs.json, track)
                windows += count
                largest = max(largest, difference)
                print(f"{track}: {count} windows of {len(names)} sources, largest difference {difference:.6f} dB",
                      flush=True)
            compare_medians(store, summary, names)
    print(f"{windows} windows agree within {largest:.6f} dB, {refused} tracks are refused by both")
    assert windows >= MIN_WINDOWS and refused == 2


if __name__ == "__main__":
    main()
