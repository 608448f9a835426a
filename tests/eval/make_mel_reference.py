#!/usr/bin/env python3
"""Writes mel_reference.json: distances between two made-up signals, computed with librosa, for distances_test.cc.

    python3 -m venv venv && venv/bin/pip install librosa==0.11.0 numpy==2.4.6 scipy==1.17.1
    venv/bin/python tests/eval/make_mel_reference.py > tests/eval/mel_reference.json

Not run by the tests. The mel distances were also computed with the authors' own code, descript-audiotools 0.7.2 on
PyTorch 2.13.0 (--audiotools, which needs both), and agreed within 2e-6.
"""

import json
import sys

import librosa
import numpy as np
import scipy

NUM_SAMPLES = 30011
TINY = 1e-12  # weights below are what rounding leaves of 0


def signals():
    """Reference and estimate, [2, NUM_SAMPLES] each: test_signals() in distances_test.cc makes the same."""
    mask, state = (1 << 64) - 1, 1
    reference = np.zeros((2, NUM_SAMPLES))
    estimate = np.zeros((2, NUM_SAMPLES))
    for t in range(NUM_SAMPLES):
        level = (t // 4096) % 4  # the first stretch is silent
        for channel in range(2):
            state = (state * 6364136223846793005 + 1442695040888963407) & mask
            noise = (state >> 52) - 2048
            at = t % (401 + 3 * channel)
            tone = 40 * at - 8000
            value = level * (tone + noise * (1 + channel))
            reference[channel, t] = value / 65536
            estimate[channel, t] = (value // 2048 * 2048 + (t % 7 if t < 20000 else 0)) / 65536
    return reference.astype(np.float32), estimate.astype(np.float32)


def mels(signal, rate, window, bands):
    spectrum = np.abs(librosa.stft(signal.astype(np.float64), n_fft=window, hop_length=window // 4, window="hann",
                                   center=True, pad_mode="reflect"))
    return np.einsum("mk,ckt->cmt", librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands), spectrum), spectrum


def mel_distance(reference, estimate, rate, scales, power, magnitude_weight):
    total = 0.0
    for window, bands in scales:
        x, _ = mels(estimate, rate, window, bands)
        y, _ = mels(reference, rate, window, bands)
        log_x, log_y = (np.log10(np.maximum(m, 1e-5) ** power) for m in (x, y))
        total += np.abs(log_x - log_y).mean() + magnitude_weight * np.abs(x - y).mean()
    return total


PAPER = list(zip([32, 64, 128, 256, 512, 1024, 2048], [5, 10, 20, 40, 80, 160, 320]))
TWO_SCALES = [(2048, 150), (512, 80)]


def log_spectral_distance(reference, estimate, rate):
    _, x = mels(reference, rate, 2048, 10)
    _, y = mels(estimate, rate, 2048, 10)
    level_x, level_y = (np.maximum(20 * np.log10(np.maximum(s, 1e-30) / 512), -100) for s in (x, y))
    return np.sqrt(((level_x - level_y) ** 2).mean(axis=1)).mean()


def si_sdr(reference, estimate):
    x, y = (s.astype(np.float64).ravel() for s in (reference, estimate))
    target = x * (x @ y) / (x @ x)
    return 10 * np.log10((target @ target) / ((target - y) @ (target - y)))


def compare_with_audiotools(reference, estimate, rate):
    import torch
    from audiotools import AudioSignal, metrics

    x = AudioSignal(torch.from_numpy(estimate)[None], rate)
    y = AudioSignal(torch.from_numpy(reference)[None], rate)
    for scales, power, weight in ((PAPER, 1.0, 0.0), (TWO_SCALES, 2.0, 1.0)):
        loss = metrics.spectral.MelSpectrogramLoss(
            n_mels=[b for _, b in scales], window_lengths=[w for w, _ in scales], pow=power, mag_weight=weight,
            clamp_eps=1e-5, mel_fmin=[0.0] * len(scales), mel_fmax=[None] * len(scales))
        print(rate, float(loss(x, y)), mel_distance(reference, estimate, rate, scales, power, weight))


def main():
    reference, estimate = signals()
    if "--audiotools" in sys.argv:
        for rate in (44100, 16000):
            compare_with_audiotools(reference, estimate, rate)
        return
    cases = []
    for rate in (44100, 16000):
        cases.append({"sample_rate_hz": rate,
                      "mel": mel_distance(reference, estimate, rate, PAPER, 1, 0),
                      "mel_two_scales": mel_distance(reference, estimate, rate, TWO_SCALES, 2, 1),
                      "log_spectral_db": log_spectral_distance(reference, estimate, rate),
                      "si_sdr_db": si_sdr(reference, estimate)})
    bands = []
    for rate, window, count in ((44100, 2048, 320), (44100, 32, 5), (48000, 512, 80)):
        matrix = librosa.filters.mel(sr=rate, n_fft=window, n_mels=count)
        some = [0, 1, count // 2, count - 1]
        bands.append({"sample_rate_hz": rate, "window_samples": window, "num_bands": count,
                      "sum": float(matrix.sum(dtype=np.float64)),
                      "num_weights": int((matrix > TINY).sum()),
                      "bands": [{"band": b, "first_bin": int(np.flatnonzero(matrix[b] > TINY)[0]) if (matrix[b] > TINY).any() else -1,
                                 "weights": [float(w) for w in matrix[b][matrix[b] > TINY]]} for b in some]})
    versions = {"librosa": librosa.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    print(json.dumps({"versions": versions, "distances": cases, "mel_bands": bands}, indent=1))


main()
