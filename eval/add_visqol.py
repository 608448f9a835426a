#!/usr/bin/env python3
"""Adds ViSQOL scores to a report of vqeval rate: for the same levels and Opus rates, on an excerpt of each track.

    python3 -m venv venv && venv/bin/pip install visqol-python==3.8.0
    venv/bin/python eval/add_visqol.py results/rate.json --model M --data DIR [--seconds 10] [--bin build/release/bin]

The package is a port of Google's ViSQOL 3.3.3 to Python; its own tests hold its audio mode (48 kHz, mono) within 0.0002
of the original's scores. A score (MOS-LQO) lies between 1 and about 4.75. ViSQOL is made for excerpts of some seconds,
so one is taken from the middle of what the report has of each track. Opus is opusenc's, with the settings of vqeval
rate. The report gets the key "visqol" with scores of each track and their means; nothing else in it changes. Needs
opusenc and opusdec (Debian: opus-tools).
"""

import argparse
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import tempfile

EXTENSIONS_LEFT_OUT = (".json", ".vqc", ".txt")


def fail(message, code=1):
    print(f"add_visqol.py: {message}", file=sys.stderr)
    sys.exit(code)


try:
    import numpy as np
    import scipy.signal
    import soundfile
    from visqol import VisqolApi
except ImportError as error:
    fail(f"{error}; see the head of eval/add_visqol.py for what it needs")


def find_file(folder, stem):
    names = sorted(n for n in os.listdir(folder)
                   if os.path.splitext(n)[0] == stem and os.path.splitext(n)[1] not in ("", *EXTENSIONS_LEFT_OUT))
    return os.path.join(folder, names[0]) if names else None


def read_mixture(folder, sources):
    """The mixture, or the sum of the sources, as vqeval takes it: [samples, channels] and the rate."""
    path = find_file(folder, "mixture")
    paths = [path] if path else [p for p in (find_file(folder, s) for s in sources) if p]
    total, rate = None, None
    for path in paths:
        samples, its_rate = soundfile.read(path, always_2d=True)
        if rate not in (None, its_rate):
            fail(f"{path}: {its_rate} Hz, the others {rate} Hz", 3)
        rate = its_rate
        if samples.shape[1] == 1:
            samples = np.repeat(samples, 2, axis=1)
        if total is None:
            total = samples
        else:
            longer = np.zeros((max(len(total), len(samples)), 2))
            longer[:len(total)] += total
            longer[:len(samples)] += samples
            total = longer
    if total is None:
        fail(f"{folder}: no mixture and no sources", 3)
    return total, rate


def score(api, reference, path):
    """MOS-LQO of the file against the reference's file, both brought to 48 kHz mono."""
    signals = []
    for name in (reference, path):
        samples, rate = soundfile.read(name, always_2d=True)
        divisor = math.gcd(rate, 48000)
        signals.append(scipy.signal.resample_poly(samples.mean(axis=1), 48000 // divisor, rate // divisor))
    length = min(map(len, signals))
    return float(api.measure_from_arrays(signals[0][:length], signals[1][:length], sample_rate=48000).moslqo)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", help="rate.json of vqeval rate; it is changed")
    parser.add_argument("--model", required=True, help="model (.safetensors) of the report")
    parser.add_argument("--data", required=True, help="folder of tracks of the report")
    parser.add_argument("--seconds", type=float, default=10, help="length of the excerpts, 3 to 60 [10]")
    parser.add_argument("--bin", default=os.path.join(os.path.dirname(__file__), "..", "build", "release", "bin"),
                        help="folder of vqcodec [build/release/bin]")
    arguments = parser.parse_args()
    if not 3 <= arguments.seconds <= 60:
        fail("--seconds: expected 3 to 60")
    try:
        with open(arguments.report) as file:
            report = json.load(file)
    except (OSError, ValueError) as error:
        fail(f"{arguments.report}: {error}", 2)
    if report.get("kind") != "rate" or not report.get("tracks"):
        fail(f"{arguments.report}: no report of vqeval rate with tracks", 3)

    api = VisqolApi()
    api.create(mode="audio")
    curves = {"levels": "num_codebooks", "opus": "bitrate_bps"}
    result = {"package": "visqol-python " + importlib.metadata.version("visqol-python"),
              "excerpt_seconds": arguments.seconds, "tracks": []}
    with tempfile.TemporaryDirectory() as temp:
        wav, coded, decoded = (os.path.join(temp, n) for n in ("in.wav", "coded", "out.wav"))
        vqcodec = os.path.join(arguments.bin, "vqcodec")

        def run(*words):
            try:
                done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
            except OSError as error:
                fail(f"{words[0]}: {error}", 2)
            if done.returncode != 0:
                fail(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}", 2)

        for track in report["tracks"]:
            folder = os.path.join(arguments.data, track["name"])
            mixture, rate = read_mixture(folder if os.path.isdir(folder) else arguments.data, report["sources"])
            first = min(len(mixture), round(report["settings"]["from_seconds"] * rate))
            most = round(report["settings"]["max_seconds"] * rate) or len(mixture)
            last = min(len(mixture), first + most)
            count = min(last - first, round(arguments.seconds * rate))
            begin = first + (last - first - count) // 2
            soundfile.write(wav, mixture[begin:begin + count], rate, subtype="FLOAT")
            scores = {"name": track["name"], "from_seconds": begin / rate}
            for curve, key in curves.items():
                scores[curve] = []
                for point in track[curve]:
                    if curve == "levels":
                        run(vqcodec, "encode", wav, "-o", coded, "--quality", str(point[key]), "--model",
                            arguments.model, "--force", "--quiet")
                        run(vqcodec, "decode", coded, "-o", decoded, "--bits", "float", "--model", arguments.model,
                            "--force", "--quiet")
                    else:
                        run("opusenc", "--quiet", "--vbr", "--comp", "10", "--framesize", "20", "--bitrate",
                            str(point[key] / 1000), wav, coded)
                        run("opusdec", "--quiet", "--float", coded, decoded)
                    scores[curve].append({key: point[key], "mos_lqo": score(api, wav, decoded)})
                    print(f"{track['name']}: {key} {point[key]}: {scores[curve][-1]['mos_lqo']:.3f}", flush=True)
            result["tracks"].append(scores)
    for curve, key in curves.items():
        result[curve] = []
        for i, point in enumerate(result["tracks"][0][curve]):
            mean = sum(t[curve][i]["mos_lqo"] for t in result["tracks"]) / len(result["tracks"])
            result[curve].append({key: point[key], "mos_lqo": mean})
    report["visqol"] = result
    temporary = f"{arguments.report}.{os.getpid()}.tmp"
    with open(temporary, "w") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    os.replace(temporary, arguments.report)


main()
