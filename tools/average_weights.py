#!/usr/bin/env python3
"""Writes a model whose weights are the mean of those of several models of one network.

    tools/average_weights.py -o mean.safetensors a.safetensors b.safetensors [b.safetensors ...]

A model that is named twice counts twice. With --only PREFIX just the tensors whose names begin so are averaged (such as
"encoder.", the masks' network), and the rest, like the metadata, is the first model's. Models that were trained from one
another have means that are often better than each of them (Wortsman et al. 2022, model soups). Tensors are float16 or
float32, as vqtrain export writes them.
"""
import argparse
import json
import struct
import sys

FORMATS = {"F16": ("e", 2), "F32": ("f", 4)}


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 8:
        sys.exit(f"{path}: no safetensors file")
    (size,) = struct.unpack("<Q", data[:8])
    if size > len(data) - 8:
        sys.exit(f"{path}: no safetensors file")
    return data[: 8 + size], json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])


def values(data, tensor):
    code, size = FORMATS[tensor["dtype"]]
    begin, end = tensor["data_offsets"]
    return struct.unpack(f"<{(end - begin) // size}{code}", data[begin:end])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="at least two models")
    parser.add_argument("-o", "--out", required=True, help="model to write")
    parser.add_argument("--only", default="", help="beginning of the names of the tensors to average")
    options = parser.parse_args()
    if len(options.models) < 2:
        parser.error("expected two models or more")
    models = [(path, *read(path)) for path in options.models]
    _, head, header, result = models[0]
    num_averaged = 0
    for name, tensor in header.items():
        if name == "__metadata__" or not name.startswith(options.only):
            continue
        columns = []
        for path, _, other_header, data in models:
            other = other_header.get(name)
            if other is None or other["shape"] != tensor["shape"] or other["dtype"] not in FORMATS:
                sys.exit(f"{path}: has no tensor {name} of shape {tensor['shape']}")
            columns.append(values(data, other))
        means = [sum(row) / len(row) for row in zip(*columns)]
        begin, end = tensor["data_offsets"]
        result[begin:end] = struct.pack(f"<{len(means)}{FORMATS[tensor['dtype']][0]}", *means)
        num_averaged += 1
    if num_averaged == 0:
        sys.exit(f"no tensor begins with {options.only}")
    with open(options.out, "wb") as file:
        file.write(head + bytes(result))
    print(f"{options.out}: {num_averaged} tensors averaged over {len(models)} models")


if __name__ == "__main__":
    main()
