#!/usr/bin/env python3
"""Measure vqcodec on this machine: speed, memory, time to the first byte and size. Prints one table.

A long file is made by looping --input, encoded and decoded. Speeds are in seconds of audio a second of wall time; that of
opusenc (if there) on the same file in the same run is given beside them, because machines differ. Needs: ffmpeg."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def run(command, **keywords):
    """Wall seconds, CPU seconds and peak resident MiB of a command."""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], **keywords)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def first_byte_ms(command):
    """Milliseconds from the start of a command to its first byte on standard output; the best of five."""
    best = 1e9
    for _ in range(5):
        start = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
        process.stdout.read(1)
        best = min(best, (time.monotonic() - start) * 1000)
        process.stdout.read()
        process.wait()
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=pathlib.Path, default="demo/piece.flac", help="music to loop (default demo/piece.flac)")
    parser.add_argument("--bin", type=pathlib.Path, default="build/release/bin", help="folder of vqcodec (default build/release/bin)")
    parser.add_argument("--minutes", type=float, default=60, help="length of the long file (default 60)")
    parser.add_argument("--threads", type=int, default=2, help="threads of vqcodec (default 2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    vqcodec, seconds = options.bin / "vqcodec", options.minutes * 60
    threads = ["--threads", options.threads]
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        long_wav, long_vqc, out = folder / "long.wav", folder / "long.vqc", folder / "out.wav"
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", options.input, "-t", str(seconds),
                        "-c:a", "pcm_s16le", long_wav], check=True)
        wall, cpu, mib = run([vqcodec, "encode", long_wav, "-o", long_vqc, "--quiet", *threads])
        result["encode_times_real_time"], result["encode_cpu_seconds"], result["encode_peak_mib"] = seconds / wall, cpu, mib
        wall, cpu, mib = run([vqcodec, "decode", long_vqc, "-o", out, "--quiet", *threads])
        result["decode_times_real_time"], result["decode_cpu_seconds"], result["decode_peak_mib"] = seconds / wall, cpu, mib
        if shutil.which("opusenc"):
            wall, _, _ = run(["opusenc", "--quiet", "--bitrate", "96", long_wav, folder / "long.opus"])
            result["opusenc_times_real_time"] = seconds / wall
        piece = folder / "piece.vqc"
        run([vqcodec, "encode", options.input, "-o", piece, "--quiet", *threads])
        result["decode_first_byte_ms"] = first_byte_ms([vqcodec, "decode", piece, "-o", "-", "--quiet", *threads])
        for name, path in (("piece", piece), ("long", long_vqc)):
            info = json.loads(subprocess.run([vqcodec, "info", path, "--json"], capture_output=True, check=True).stdout)
            result[name + "_bytes"], result[name + "_raw_bytes"] = info["bytes"], info["raw_bytes"]
            result[name + "_saved_percent"] = 100 * (1 - info["bytes"] / info["raw_bytes"])
            result[name + "_kbit_per_second"] = info["bytes"] * 8 / 1000 / info["duration_seconds"]
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:32}{value:14.2f}" if isinstance(value, float) else f"{name:32}{value:14}")


if __name__ == "__main__":
    main()
