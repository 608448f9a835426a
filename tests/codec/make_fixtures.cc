// Makes the files under tests/data/golden and tests/data/bad and the dump in codec/FORMAT.md. They were made once and
// are never made again: a reader must go on reading what an earlier writer wrote. Kept to show how each was made, and
// to make the next one: it leaves files alone that exist.
//
//   make_fixtures DIR    writes DIR/golden/*.vqc, DIR/bad/*.vqc, DIR/bad/expected.json
//
// The code in expected.json is what the reader returned; FORMAT.md and a person's eye say what it must be.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/range_coder.h"
#include "codec/stream_coder.h"
#include "codec/vqc_format.h"
#include "codec/vqc_writer.h"
#include "tests/codec/read_all.h"

namespace vqcodec::codec {
namespace {

using Bytes = std::vector<uint8_t>;

struct Random {
  explicit Random(uint32_t seed) : engine(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine()); }
  std::mt19937 engine;
};

// A byte sequence with its CRC at the end put right.
Bytes seal(Bytes bytes) {
  bytes.resize(bytes.size() - 4);
  append_le(bytes, crc32c(bytes));
  return bytes;
}

template <class T>
Bytes patch(Bytes bytes, size_t offset, T value) {
  Bytes le;
  append_le(le, value);
  std::copy(le.begin(), le.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes section(std::string_view tag, uint32_t flags, const Bytes& body) {
  return seal(patch(make_section_header(tag, body.size()), 4, flags)) + body;
}

StreamInfo small_info() {
  StreamInfo info;
  info.sample_rate_hz = 44100;
  info.num_channels = 2;
  info.hop_samples = 1024;
  info.sources = {"vocals", "bass"};
  info.num_codebooks = 3;
  info.codebook_size = 50;
  info.segment_frames = 8;
  for (size_t i = 0; i < info.model_id.size(); ++i) info.model_id[i] = static_cast<uint8_t>(i * 7);
  return info;
}

// Codes as music gives them: skewed to small numbers, often as in the frame before, sometimes the whole frame.
SourceSegment make_segment(const StreamInfo& info, uint32_t num_frames, uint16_t gain, Random& random) {
  SourceSegment segment{gain, std::vector<uint16_t>(size_t{num_frames} * info.num_codebooks)};
  if (gain == 0) return segment;
  for (size_t i = 0; i < segment.codes.size(); ++i) {
    const bool has_before = i >= info.num_codebooks;
    if (has_before && random() % 4 == 0) {
      segment.codes[i] = segment.codes[i - info.num_codebooks];
    } else {
      const uint32_t bits = random() % (info.code_bits() + 1);
      segment.codes[i] = static_cast<uint16_t>(std::min<uint32_t>(random() % (1U << bits), info.codebook_size - 1));
    }
    if (has_before && (i + 1) % info.num_codebooks == 0 && random() % 5 == 0) {
      std::copy_n(segment.codes.begin() + static_cast<ptrdiff_t>(i + 1 - 2 * info.num_codebooks), info.num_codebooks,
                  segment.codes.begin() + static_cast<ptrdiff_t>(i + 1 - info.num_codebooks));
    }
  }
  return segment;
}

// A file in pieces, each of which a bad file may change.
struct Pieces {
  StreamInfo info = small_info();
  Bytes header;
  std::vector<Bytes> preamble;  // whole sections
  std::vector<SegmentHead> heads;
  std::vector<std::vector<Bytes>> streams;  // [segment][source]
  std::vector<Bytes> after_segment;         // sections after the first segment
  std::function<Bytes(uint32_t, Bytes)> change_segment = [](uint32_t, Bytes b) { return b; };  // the section
  std::function<Bytes(Bytes)> change_index = [](Bytes b) { return b; };                        // its body
  std::function<Bytes(Bytes)> change_end = [](Bytes b) { return b; };                          // the last bytes
  bool has_index = true;

  Pieces() {
    Random random(7);
    header = make_header(info);
    preamble.push_back(section(kMetadataTag, 0, make_metadata_body(R"({"title":"bad"})").value()));
    AdaptiveModel model(info.num_codebooks, info.codebook_size);
    for (uint32_t i = 0; i < 3; ++i) {
      const uint32_t num_frames = i == 2 ? 5 : info.segment_frames;
      heads.push_back({i, num_frames, {}});
      streams.emplace_back();
      for (uint32_t s = 0; s < 2; ++s) {
        const auto segment =
            make_segment(info, num_frames, static_cast<uint16_t>(i == 1 && s == 1 ? 0 : 30 + i), random);
        streams.back().push_back(encode_stream(info, segment, model).value());
      }
    }
    info.num_frames = 21;
    info.num_samples = 20 * 1024 + 5;
  }

  Bytes build() {
    Bytes file = header;
    for (const Bytes& piece : preamble) file = file + piece;
    Bytes index;
    for (uint32_t i = 0; i < heads.size(); ++i) {
      heads[i].stream_bytes.clear();
      for (const Bytes& stream : streams[i]) heads[i].stream_bytes.push_back(static_cast<uint32_t>(stream.size()));
      append_index_entry(index, file.size(), heads[i]);
      Bytes body = make_segment_head(heads[i]);
      for (const Bytes& stream : streams[i]) body = body + stream;
      file = file + change_segment(i, section(kSegmentTag, kCriticalFlag, body));
      if (i == 0) {
        for (const Bytes& piece : after_segment) file = file + piece;
      }
    }
    append_le(index, crc32c(index));
    if (has_index) file = file + section(kIndexTag, kCriticalFlag, change_index(index));
    return file + change_end(make_end(info));
  }
};

// A stream whose CRC is right whatever the payload is; the codes' CRC is `codes_crc`.
Bytes stream_of(uint32_t codes_crc, const Bytes& payload) {
  Bytes head;
  append_le(head, codes_crc);
  append_le(head, crc32c(head, payload));
  return head + payload;
}

Bytes payload_of(const Bytes& stream) { return Bytes(stream.begin() + kStreamHeadBytes, stream.end()); }

std::map<std::string, Bytes> bad_files() {
  std::map<std::string, Bytes> files;
  const auto pieces = [](const std::function<void(Pieces&)>& change) {
    Pieces p;
    change(p);
    return p.build();
  };
  const Bytes good = Pieces().build();
  const size_t header_size = Pieces().header.size();
  const auto header_field = [&](size_t offset, auto value) {
    return pieces([&](Pieces& p) { p.header = seal(patch(p.header, offset, value)); });
  };
  files["empty"] = {};
  files["header_cut"] = Bytes(good.begin(), good.begin() + 50);
  const std::string text = "This is not a .vqc file.\n";
  files["text"] = Bytes(text.begin(), text.end());
  files["text_mode"] = good;
  files["text_mode"].erase(files["text_mode"].begin() + 4);  // 0D 0A became 0A
  files["version_2"] = header_field(8, uint16_t{2});
  files["header_size"] = header_field(12, uint32_t{609});
  files["header_crc"] = patch(good, header_size - 4, uint32_t{0});
  files["header_flags"] = header_field(10, uint16_t{0x8000});
  files["numerics"] = header_field(40, uint32_t{1});
  files["sample_rate_0"] = header_field(16, uint32_t{0});
  files["hop_0"] = header_field(20, uint32_t{0});
  files["channels_9"] = header_field(24, uint16_t{9});
  files["sources_0"] = header_field(26, uint16_t{0});
  files["sources_17"] = header_field(26, uint16_t{17});
  files["codebooks_33"] = header_field(28, uint32_t{33});
  files["codebook_size_1"] = header_field(32, uint32_t{1});
  files["codebook_size_65537"] = header_field(32, uint32_t{65537});
  files["segment_frames_0"] = header_field(36, uint32_t{0});
  files["codes_per_stream"] =
      pieces([](Pieces& p) { p.header = seal(patch(patch(p.header, 28, uint32_t{32}), 36, uint32_t{65536})); });
  files["names_overrun"] = header_field(kHeaderFixedBytes + 7, uint8_t{9});
  const auto names = [&](std::vector<std::string> sources) {
    return pieces([&](Pieces& p) {
      p.info.sources = std::move(sources);
      p.header = make_header(p.info);
    });
  };
  files["name_empty"] = names({"vocals", ""});
  files["name_twice"] = names({"bass", "bass"});
  files["name_control"] = names({"vocals", "ba\x1bs"});
  files["name_utf8"] = names({"vocals", "ba\xC0\x80s"});

  const auto preamble = [&](const Bytes& extra) { return pieces([&](Pieces& p) { p.preamble.push_back(extra); }); };
  files["section_crc"] = preamble(patch(section("ABCD", 0, {1, 2, 3}), 12, uint32_t{0}));
  files["section_tag"] = preamble(section("aBCD", 0, {1, 2, 3}));
  files["section_flags"] = preamble(section("ABCD", 2, {1, 2, 3}));
  files["unknown_critical"] = preamble(section("ABCD", 1, {1, 2, 3}));
  const Bytes metadata = make_metadata_body(R"({"title":"bad"})").value();
  const auto only_metadata = [&](uint32_t flags, const Bytes& body) {
    return pieces([&](Pieces& p) { p.preamble = {section(kMetadataTag, flags, body)}; });
  };
  files["metadata_critical"] = only_metadata(1, metadata);
  files["metadata_twice"] = preamble(section(kMetadataTag, 0, metadata));
  files["metadata_late"] = pieces([&](Pieces& p) {
    p.after_segment = p.preamble;
    p.preamble.clear();
  });
  files["too_many_sections"] =
      pieces([](Pieces& p) { p.preamble.assign(kMaxPreambleSections + 1, section("ABCD", 0, {})); });
  files["metadata_crc"] = only_metadata(0, patch(metadata, metadata.size() - 4, uint32_t{0}));
  files["metadata_short"] = only_metadata(0, {1, 2, 3});
  files["metadata_huge"] = only_metadata(0, seal(patch(metadata, 0, kMaxMetadataBytes + 1)));
  files["metadata_size"] = only_metadata(0, seal(patch(metadata, 0, uint32_t{16})));
  files["metadata_zstd"] = only_metadata(0, seal(patch(metadata, 4, uint32_t{0x12345678})));
  // The same frame with one letter of the literal text changed: zstd stores so short a text as it is.
  Bytes not_json = metadata;
  *std::find(not_json.begin() + 4, not_json.end(), uint8_t{'{'}) = '<';
  files["metadata_json"] = only_metadata(0, seal(not_json));

  const auto segment = [&](uint32_t which, const std::function<Bytes(Bytes)>& change) {
    return pieces([&](Pieces& p) {
      p.change_segment = [&](uint32_t i, Bytes b) { return i == which ? change(std::move(b)) : b; };
    });
  };
  // The head of a segment of two sources: 20 bytes after the section's header.
  const auto reseal_head = [](Bytes b) {
    const Bytes head = seal(Bytes(b.begin() + 16, b.begin() + 36));
    std::copy(head.begin(), head.end(), b.begin() + 16);
    return b;
  };
  files["segment_head_crc"] = segment(1, [](Bytes b) { return patch(b, 32, uint32_t{0}); });
  files["segment_order"] = segment(1, [&](Bytes b) { return reseal_head(patch(b, 16, uint32_t{2})); });
  files["segment_no_frames"] = segment(2, [&](Bytes b) { return reseal_head(patch(b, 20, uint32_t{0})); });
  files["segment_many_frames"] = segment(1, [&](Bytes b) { return reseal_head(patch(b, 20, uint32_t{9})); });
  files["segment_after_short"] = pieces([](Pieces& p) {
    AdaptiveModel model(p.info.num_codebooks, p.info.codebook_size);
    p.heads[1].num_frames = 7;
    for (Bytes& s : p.streams[1]) s = encode_stream(p.info, {3, std::vector<uint16_t>(21, 1)}, model).value();
  });
  files["segment_sizes"] = segment(1, [&](Bytes b) { return reseal_head(patch(b, 24, uint32_t{9})); });
  files["segment_tiny"] = segment(1, [](const Bytes&) { return section(kSegmentTag, kCriticalFlag, {1, 2, 3, 4}); });
  files["stream_long"] = pieces([](Pieces& p) { p.streams[1][0].resize(1000); });
  files["stream_short"] = pieces([](Pieces& p) { p.streams[1][0].resize(7); });

  const auto stream = [&](const std::function<Bytes(Bytes)>& change) {
    return pieces([&](Pieces& p) { p.streams[1][0] = change(p.streams[1][0]); });
  };
  const auto payload = [&](const std::function<Bytes(Bytes)>& change) {
    return stream([&](const Bytes& s) { return stream_of(load_le<uint32_t>(s, 0), change(payload_of(s))); });
  };
  files["stream_crc"] = stream([](Bytes s) { return patch(s, s.size() - 1, static_cast<uint8_t>(s.back() ^ 1)); });
  files["payload_short"] = payload([](const Bytes&) { return Bytes{1, 0}; });
  files["gain_0"] = payload([](Bytes b) { return patch(b, 0, uint16_t{0}); });
  files["coder_2"] = payload([](Bytes b) { return patch(b, 2, uint8_t{2}); });
  // 8 frames of 3 codes of 6 bits are 18 bytes; 5 frames are 90 bits, 12 bytes with 6 bits left.
  files["raw_size"] = payload([](const Bytes&) { return Bytes{1, 0, 0} + Bytes(17, 0); });
  files["raw_code"] = payload([](const Bytes&) { return Bytes{1, 0, 0} + Bytes(18, 0xFF); });
  files["raw_padding"] = pieces([](Pieces& p) {
    p.streams[2][0] = stream_of(0, Bytes{1, 0, 0} + Bytes(11, 0) + Bytes{0x80});
  });
  files["adaptive_cut"] = payload([](Bytes b) { return Bytes(b.begin(), b.end() - 1); });
  files["adaptive_left"] = pieces([](Pieces& p) {
    // Short enough that a byte more is no longer than raw.
    AdaptiveModel model(p.info.num_codebooks, p.info.codebook_size);
    const SourceSegment calm{5, std::vector<uint16_t>(24, 3)};
    p.streams[1][0] = encode_stream(p.info, calm, model).value();
    p.streams[1][0] = stream_of(load_le<uint32_t>(p.streams[1][0], 0), payload_of(p.streams[1][0]) + Bytes{0});
  });
  files["codes_crc"] = stream([](const Bytes& s) { return stream_of(load_le<uint32_t>(s, 0) ^ 1, payload_of(s)); });

  const auto index = [&](const std::function<Bytes(Bytes)>& change) {
    return pieces([&](Pieces& p) { p.change_index = change; });
  };
  files["index_missing"] = pieces([](Pieces& p) { p.has_index = false; });
  files["index_size"] = index([](const Bytes& b) { return seal(Bytes(b.begin(), b.end() - 16)); });
  files["index_offset"] = index([](Bytes b) { return seal(patch(b, 0, uint64_t{1} << 40)); });
  files["index_stream"] = index([](Bytes b) { return seal(patch(b, 8, uint32_t{0})); });
  files["index_other"] = index([](Bytes b) {
    return seal(patch(b, 0, load_le<uint64_t>(b, 0) + 16));  // into the first segment
  });
  files["index_crc"] = index([](Bytes b) { return patch(b, b.size() - 4, uint32_t{0}); });

  files["end_cut"] = Bytes(good.begin(), good.end() - 10);
  files["end_missing"] = Bytes(good.begin(), good.end() - kEndBytes);
  const auto end = [&](const std::function<Bytes(Bytes)>& change) {
    return pieces([&](Pieces& p) { p.change_end = change; });
  };
  files["end_header_crc"] = end([](Bytes b) { return patch(b, 12, uint32_t{0}); });
  files["end_crc"] = end([](Bytes b) { return patch(b, 32, uint32_t{0}); });
  files["end_samples"] = pieces([](Pieces& p) { p.info.num_samples = 21 * 1024 + 1; });
  files["end_segments"] = pieces([](Pieces& p) { p.info.num_frames = uint64_t{8} * kMaxSegments + 1; });
  files["end_frames"] = pieces([](Pieces& p) { p.info.num_frames = 30; });
  files["bytes_after"] = good + Bytes{0};

  // What files with a prior add. None of these streams needs it.
  const auto with_prior = [&](const std::function<void(Pieces&, const Bytes&)>& change) {
    return pieces([&](Pieces& p) {
      p.info.numerics_id = 1;
      p.info.prior_id[5] = 55;
      p.info.source_order = {1, 0};
      p.header = make_header(p.info);
      const Bytes body = make_prior_body(p.info);
      p.preamble.push_back(section(kPriorTag, kCriticalFlag, body));
      change(p, body);
    });
  };
  const auto prior_body = [&](const std::function<Bytes(Bytes)>& change) {
    return with_prior([&](Pieces& p, const Bytes& body) {
      p.preamble.back() = section(kPriorTag, kCriticalFlag, change(body));
    });
  };
  files["prior_crc"] = prior_body([](Bytes b) { return patch(b, b.size() - 4, uint32_t{0}); });
  files["prior_short"] = prior_body([](const Bytes&) { return seal(Bytes(36, 1)); });
  files["prior_long"] = prior_body([](const Bytes& b) { return seal(b + Bytes{0}); });
  files["prior_zero"] = prior_body([](Bytes b) { return seal(patch(b, 5, uint8_t{0})); });
  files["prior_order"] = prior_body([](Bytes b) { return seal(patch(b, 33, uint8_t{0})); });
  files["prior_twice"] = with_prior([](Pieces& p, const Bytes&) { p.preamble.push_back(p.preamble.back()); });
  files["prior_late"] = with_prior([](Pieces& p, const Bytes&) { p.after_segment = {p.preamble.back()}; });
  files["prior_optional"] =
      with_prior([](Pieces& p, const Bytes& body) { p.preamble.back() = section(kPriorTag, 0, body); });
  files["prior_unexpected"] = with_prior([](Pieces& p, const Bytes&) {
    p.info.numerics_id = 0;
    p.header = make_header(p.info);
  });
  files["coder_3"] = payload([](Bytes b) { return patch(b, 2, uint8_t{3}); });
  return files;
}

Bytes golden(const StreamInfo& info, uint32_t num_segments, uint32_t last_frames, std::string_view metadata,
             uint32_t seed) {
  Random random(seed);
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info, metadata).value();
  for (uint32_t i = 0; i < num_segments; ++i) {
    std::vector<SourceSegment> sources;
    for (uint32_t s = 0; s < info.sources.size(); ++s) {
      const bool silent = (i + s) % 5 == 4;
      sources.push_back(make_segment(info, i + 1 == num_segments ? last_frames : info.segment_frames,
                                     static_cast<uint16_t>(silent ? 0 : 20 + random() % 60), random));
    }
    if (i == 1) {  // one source that the model cannot shorten: raw
      for (uint16_t& code : sources[0].codes) code = static_cast<uint16_t>(random() % info.codebook_size);
    }
    if (auto r = writer.write_segment(sources); !r) std::abort();
  }
  if (auto r = writer.finish(std::max<uint64_t>(writer.num_frames() * info.hop_samples, 100) - 100); !r) std::abort();
  return sink.bytes();
}

void write_new(const std::filesystem::path& path, const Bytes& bytes) {
  if (std::filesystem::exists(path)) return;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::cout << path.string() << '\n';
}

int make_all(const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir / "golden");
  std::filesystem::create_directories(dir / "bad");
  StreamInfo two = small_info();
  two.codebook_size = 64;
  two.segment_frames = 24;
  write_new(dir / "golden/two_sources.vqc",
            golden(two, 4, 11, R"({"title":"Two sources","writer":"make_fixtures"})", 1));
  StreamInfo four = two;
  four.sources = {"vocals", "bass", "drums", "other"};
  four.num_codebooks = 8;
  four.codebook_size = 1024;
  four.segment_frames = 40;
  write_new(dir / "golden/four_sources.vqc", golden(four, 3, 40, {}, 2));
  StreamInfo odd = two;
  odd.sources = {"\xC3\xA9l\xC3\xA8ve"};
  odd.num_channels = 1;
  odd.sample_rate_hz = 48000;
  odd.num_codebooks = 2;
  odd.codebook_size = 1000;
  odd.model_id = {};
  write_new(dir / "golden/odd_size.vqc", golden(odd, 2, 1, "[]", 3));
  StreamInfo none = two;
  write_new(dir / "golden/no_frames.vqc", golden(none, 0, 0, {}, 4));
  StreamInfo example = two;
  example.sources = {"bass"};
  example.num_codebooks = 2;
  example.codebook_size = 8;
  example.segment_frames = 4;
  MemorySink sink;
  auto writer = VqcWriter::create(sink, example).value();
  const SourceSegment first{40, {1, 0, 1, 0, 1, 0, 2, 5}};
  const SourceSegment second{0, {0, 0}};
  if (!writer.write_segment({&first, 1}) || !writer.write_segment({&second, 1}) || !writer.finish(4100)) return 1;
  write_new(dir / "golden/example.vqc", sink.bytes());

  nlohmann::ordered_json expected;
  if (std::ifstream before(dir / "bad/expected.json"); before) expected = nlohmann::ordered_json::parse(before);
  for (const auto& [name, bytes] : bad_files()) {
    write_new(dir / "bad" / (name + ".vqc"), bytes);
    const MemorySource source(bytes);
    MemoryStream stream(bytes);
    if (!expected.contains(name)) {
      expected[name] = {{"seek", read_all(source).code_name()}, {"stream", read_all(stream).code_name()}};
    }
    std::cout << name << ": " << read_all(source).describe() << '\n';
  }
  std::ofstream(dir / "bad/expected.json") << expected.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace vqcodec::codec

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_fixtures DIR\n";
    return 1;
  }
  return vqcodec::codec::make_all(argv[1]);
}
