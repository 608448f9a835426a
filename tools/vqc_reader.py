#!/usr/bin/env python3
"""Reads .vqc files with nothing but Python's standard library.

Written from codec/FORMAT.md alone, as a check of that page and of the C++ reader; it reads every byte of the file and
refuses what FORMAT.md says a reader must refuse. Slow: some thousand codes a second.

  vqc_reader.py FILE           header, totals and all codes as JSON
  vqc_reader.py --crc FILE     a line a stream: segment, source, gain, CRC32C of gain and codes
  vqc_reader.py --trace FILE   every bit of coder 1: zeros, bit

Streams of coder 2 need a prior, which this reader does not have: their codes are null (--crc: the CRC that the file
says, then "needs prior"), and a line on standard error tells of them. Their bytes' CRC is checked.

The metadata's text is printed where the module `zstandard` (or Python 3.14's `compression.zstd`) is there, else left out.
"""
import argparse
import json
import struct
import sys

MAGIC = bytes.fromhex("89565143 0D0A1A0A")
TWO_64 = 1 << 64


class BadFile(Exception):
    pass


def require(condition, message):
    if not condition:
        raise BadFile(message)


def make_crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # 0x1EDC6F41 reflected
        table.append(value)
    return table


CRC_TABLE = make_crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def check_crc(data, what):
    """The last four bytes of data are the CRC of those before."""
    require(len(data) >= 4, f"{what} is too short")
    require(crc32c(data[:-4]) == struct.unpack("<I", data[-4:])[0], f"{what}: wrong CRC")


# Coder 1


def make_tables():
    power = [1 << 32]
    for i in range(2840):
        power.append(power[i] * 4278222805 >> 32)
    down = [max(1, 65536 * e // ((1 << 32) + e)) for e in power]
    squash = [down[-x] if x < 0 else 65536 - down[x] for x in range(-2840, 2841)]
    stretch = []
    x = -2840
    for q in range(4096):
        while x < 2840 and squash[x + 2840] < 16 * q + 8:
            x += 1
        stretch.append(x)
    step = [131072 // (2 * n + 3) for n in range(256)]
    confidence = [0, 1, 2, 3, 3, 4, 4, 4, 4] + [5] * 247
    return squash, stretch, step, confidence


SQUASH, STRETCH, STEP, CONFIDENCE = make_tables()


class RangeDecoder:
    def __init__(self, data, trace):
        self.data = data
        self.trace = trace
        self.position = 8
        self.code = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        self.range = TWO_64 - 1

    def bit(self, zeros):
        bound = (self.range >> 16) * zeros
        bit = int(self.code >= bound)
        if bit:
            self.code -= bound
            self.range -= bound
        else:
            self.range = bound
        while self.range < 1 << 56:
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.position += 1
            self.code = self.code << 8 | byte
            self.range <<= 8
        require(self.position <= len(self.data) + 7, "adaptive codes end too early")
        if self.trace:
            print(zeros, bit)
        return bit

    def finish(self):
        require(self.position == len(self.data) + 7, "bytes are left after the adaptive codes")


def count(counter, bit, limit):
    """A counter is [p, n]."""
    p, n = counter
    target = (1 << 22) - 1 if bit else 0
    counter[0] = p + ((target - p) * STEP[n] >> 16)
    counter[1] = min(n + 1, limit)


def slot(a, b, c):
    x = (a * 0x9E3779B1 ^ b * 0x85EBCA6B ^ c * 0xC2B2AE35) & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x2C1B3C6D & 0xFFFFFFFF
    x ^= x >> 13
    return x >> 16


class AdaptiveDecoder:
    def __init__(self, data, num_codebooks, codebook_size, trace=False):
        self.decoder = RangeDecoder(data, trace)
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.bits = (codebook_size - 1).bit_length()
        self.repeats = [[1 << 21, 0] for _ in range(8)]
        self.history = 0
        self.counters = [{} for _ in range(6)]  # slots that were never used are [2^21, 0]
        self.weights = {}  # (depth, input, confidence); 2000 x confidence where never changed
        self.before = [0] * num_codebooks

    def frame(self):
        counter = self.repeats[self.history]
        repeat = self.decoder.bit(65536 - min(max(counter[0] >> 6, 1), 65535))
        count(counter, repeat, 255)
        self.history = (self.history << 1 | repeat) & 7
        if not repeat:
            codes = []
            for k in range(self.num_codebooks):
                codes.append(self.one(k, codes[k - 1] if k > 0 else 0, codes[k - 2] if k > 1 else 0))
            self.before = codes
        return list(self.before)

    def one(self, k, above, above2):
        before = self.before[k]
        node = 1
        zeros_at_start = 0
        for depth in range(self.bits):
            bit = 0
            if (2 * node + 1) * (1 << (self.bits - 1 - depth)) - (1 << self.bits) < self.codebook_size:
                place = 32 * depth + zeros_at_start
                bit = self.mix(depth, (slot(k, node, 0), slot(k, place, above.bit_length()), slot(k, node, before + 1),
                                       slot(k, node, above + 1), slot(0, place, 0), slot(k, node, above2 + 1)))
            if bit == 0 and zeros_at_start == depth:
                zeros_at_start += 1
            node = 2 * node + bit
        return node - (1 << self.bits)

    def mix(self, depth, slots):
        counters = [self.counters[i].setdefault(slots[i], [1 << 21, 0]) for i in range(6)]
        keys = [(depth, i, CONFIDENCE[counters[i][1]]) for i in range(6)]
        w = [self.weights.get(key, 2000 * key[2]) for key in keys]
        t = [STRETCH[counter[0] >> 10] for counter in counters]
        x = min(max(sum(a * b for a, b in zip(w, t)) >> 16, -2840), 2840)
        ones = SQUASH[x + 2840]
        bit = self.decoder.bit(65536 - ones)
        error = (65536 if bit else 0) - ones
        for i in range(6):
            self.weights[keys[i]] = min(max(w[i] + (t[i] * error + 8192 >> 14), -1048576), 1048576)
            count(counters[i], bit, 20)
        return bit


# The file


def parse_header(data):
    require(data[:8] == MAGIC[:len(data)], "not a .vqc file")
    require(len(data) >= 16, "the file ends inside its header")
    version, flags, size = struct.unpack_from("<HHI", data, 8)
    require(version == 1, f"format version {version}")
    require(82 <= size <= 608, "header size")
    require(len(data) >= size, "the file ends inside its header")
    header = data[:size]
    check_crc(header, "header")
    require(flags == 0, "header flags")
    rate, hop, channels, sources, codebooks, codebook_size, frames, numerics = struct.unpack_from("<IIHHIIII", header, 16)
    for name, value, low, high in (("sample rate", rate, 1, 768000), ("hop", hop, 1, 65536),
                                   ("channels", channels, 1, 8), ("sources", sources, 1, 16),
                                   ("codebooks", codebooks, 1, 32), ("codebook size", codebook_size, 2, 65536),
                                   ("segment frames", frames, 1, 65536), ("codes", frames * codebooks, 1, 1048576)):
        require(low <= value <= high, f"{name} is {value}, expected {low}..{high}")
    names = []
    at = 76
    for _ in range(sources):
        require(at < size - 4, "names")
        length = header[at]
        require(1 <= length <= 32 and at + 1 + length <= size - 4, "names")
        try:
            name = header[at + 1:at + 1 + length].decode("utf-8")
        except UnicodeDecodeError:
            raise BadFile("a name is not UTF-8") from None
        require(name not in names and all(ord(c) >= 32 and ord(c) != 127 for c in name), "names")
        names.append(name)
        at += 1 + length
    require(at == size - 4, "names do not fill the header")
    return size, {"sample_rate_hz": rate, "hop_samples": hop, "num_channels": channels, "sources": names,
                  "num_codebooks": codebooks, "codebook_size": codebook_size, "segment_frames": frames,
                  "model_id": header[44:76].hex(), "numerics": numerics, "prior_id": None, "joint_order": []}


def parse_metadata(body):
    check_crc(body, "metadata")
    size = struct.unpack_from("<I", body)[0]
    require(size <= 1048576, "metadata size")
    require(body[4:8] == bytes.fromhex("28B52FFD"), "metadata is not zstd")
    try:
        from compression import zstd  # Python 3.14
        decompress = zstd.decompress
    except ImportError:
        try:
            import zstandard
            decompress = lambda data: zstandard.ZstdDecompressor().decompress(data, max_output_size=1048576)
        except ImportError:
            return None
    try:
        text = decompress(bytes(body[4:-4]))
        require(len(text) == size, "metadata has another size")
        json.loads(text)
        return text.decode("utf-8")
    except BadFile:
        raise
    except Exception as error:  # whatever the zstd module raises
        raise BadFile(f"metadata: {error}") from None


def parse_prior(body, info):
    check_crc(body, "PRIO")
    sources = len(info["sources"])
    require(len(body) >= 37 and len(body) == 37 + body[32], "size of PRIO")
    order = list(body[33:-4])
    require(any(body[:32]), "PRIO names no prior")
    require(not order or sorted(order) == list(range(sources)), "order of the sources")
    info["prior_id"] = body[:32].hex()
    info["joint_order"] = [info["sources"][i] for i in order]


def parse_stream(data, info, frames, trace):
    codes_crc, stream_crc = struct.unpack_from("<II", data)
    payload = data[8:]
    require(crc32c(data[:4] + payload) == stream_crc, "stream: wrong CRC")
    books = info["num_codebooks"]
    bits = (info["codebook_size"] - 1).bit_length()
    gain = 0
    codes = [[0] * books for _ in range(frames)]
    if payload:
        require(len(payload) >= 3, "payload without gain and coder")
        gain, coder = struct.unpack_from("<HB", payload)
        require(gain != 0, "gain 0 in a payload")
        rest = payload[3:]
        if coder == 1:
            adaptive = AdaptiveDecoder(rest, books, info["codebook_size"], trace)
            codes = [adaptive.frame() for _ in range(frames)]
            adaptive.decoder.finish()
        elif coder == 0:
            require(len(rest) == (frames * books * bits + 7) // 8, "raw codes of another size")
            value = int.from_bytes(rest, "little")
            for frame in codes:
                for k in range(books):
                    frame[k] = value & ((1 << bits) - 1)
                    value >>= bits
                    require(frame[k] < info["codebook_size"], "raw code too large")
            require(value == 0, "bits after the last raw code")
        elif coder == 2 and info["prior_id"]:
            return {"gain": gain, "codes": None, "crc": codes_crc}
        else:
            raise BadFile(f"coder {coder}")
    flat = [gain] + [code for frame in codes for code in frame]
    require(crc32c(struct.pack(f"<{len(flat)}H", *flat)) == codes_crc, "codes: wrong CRC, another model or numerics")
    return {"gain": gain, "codes": codes, "crc": codes_crc}


def parse_file(data, trace=False):
    offset, info = parse_header(data)
    sources = len(info["sources"])
    segments = []
    index = b""
    metadata = None
    prior_seen = False
    before_segments = 0
    short = False
    while True:
        start = offset
        header = data[offset:offset + 16]
        require(len(header) == 16, "the file ends without an end mark")
        check_crc(header, f"section at byte {start}")
        tag, flags, size = struct.unpack_from("<4sII", header)
        require(all(c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" for c in tag), "tag")
        require(flags <= 1, "section flags")
        require(tag not in (b"PRIO", b"SEGM", b"INDX", b"VEND") or flags == 1, "section must be critical")
        require(tag != b"META" or flags == 0, "META must not be critical")
        body = data[offset + 16:offset + 16 + size]
        require(len(body) == size, f"the file ends inside section {tag.decode()}")
        offset += 16 + size
        require(tag not in (b"SEGM", b"INDX") or prior_seen or not info["numerics"], "numerics without PRIO")
        if tag == b"SEGM":
            head_size = 12 + 4 * sources
            require(size >= head_size, "segment too short")
            check_crc(body[:head_size], f"segment at byte {start}")
            number, frames = struct.unpack_from("<II", body)
            sizes = struct.unpack_from(f"<{sources}I", body, 8)
            require(number == len(segments) and number < 1048576 and not short, "segment out of order")
            require(1 <= frames <= info["segment_frames"], "frames of a segment")
            short = frames < info["segment_frames"]
            bits = (info["codebook_size"] - 1).bit_length()
            longest = 11 + (frames * info["num_codebooks"] * bits + 7) // 8
            require(all(8 <= s <= longest for s in sizes), "size of a stream")
            require(head_size + sum(sizes) == size, "streams do not fill their segment")
            index += struct.pack("<Q", start) + body[8:8 + 4 * sources]
            at = head_size
            streams = []
            for s in sizes:
                streams.append(parse_stream(body[at:at + s], info, frames, trace))
                at += s
            segments.append({"frames": frames, "streams": streams})
            continue
        if tag == b"INDX":
            break
        if not segments:
            before_segments += 1
            require(before_segments <= 64, "too many sections")
        if tag == b"META" and metadata is None and not segments:
            require(8 <= size <= 1114112, "size of the metadata section")
            metadata = (parse_metadata(body),)
        elif tag == b"PRIO" and info["numerics"] and not prior_seen and not segments:
            prior_seen = True
            parse_prior(body, info)
        else:
            require(tag not in (b"PRIO", b"META", b"VEND"), f"section {tag.decode()} out of place")
            require(flags == 0, f"unknown critical section {tag.decode(errors='replace')}")
    check_crc(body, "index")
    require(body[:-4] == index, "the index contradicts the segments")
    end = data[offset:]
    require(len(end) == 36, "no end mark at the end")
    check_crc(end[:16], "end mark")
    require(struct.unpack_from("<4sII", end) == (b"VEND", 1, 20), "no end mark after the index")
    check_crc(end[16:], "end mark")
    frames, samples = struct.unpack_from("<QQ", end, 16)
    require(frames == sum(s["frames"] for s in segments), "number of frames")
    require(samples <= frames * info["hop_samples"], "number of samples")
    info["num_frames"] = frames
    info["num_samples"] = samples
    info["metadata"] = metadata[0] if metadata else None
    return info, segments


def main():
    parser = argparse.ArgumentParser(description="Reads a .vqc file (codec/FORMAT.md).")
    parser.add_argument("--crc", action="store_true", help="a line a stream: segment, source, gain, CRC of the codes")
    parser.add_argument("--trace", action="store_true", help="every bit of coder 1: zeros, bit")
    parser.add_argument("file")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        with open(options.file, "rb") as file:
            data = file.read()
        info, segments = parse_file(data, options.trace)
    except (BadFile, OSError) as error:
        print(f"vqc_reader: {options.file}: {error}", file=sys.stderr)
        return 1
    if options.trace:
        return 0
    num_lacking = sum(stream["codes"] is None for segment in segments for stream in segment["streams"])
    if num_lacking:
        print(f"vqc_reader: {options.file}: {num_lacking} of {len(segments) * len(info['sources'])} streams need prior "
              f"{info['prior_id'][:12]} of numerics {info['numerics']}", file=sys.stderr)
    if options.crc:
        for i, segment in enumerate(segments):
            for name, stream in zip(info["sources"], segment["streams"]):
                print(i, name, stream["gain"], f"{stream['crc']:08x}" + (" needs prior" if stream["codes"] is None else ""))
        return 0
    info["segments"] = [{name: {"gain": stream["gain"], "codes": stream["codes"]}
                         for name, stream in zip(info["sources"], segment["streams"])} for segment in segments]
    json.dump(info, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
