#include "codec/stream_coder.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "codec/cdf.h"
#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/range_coder.h"
#include "codec/vqc_format.h"

namespace vqcodec::codec {
namespace {

constexpr size_t kPayloadHeadBytes = 3;  // gain, coder
// Counts of so many codes are held at once, or of one stream.
constexpr size_t kMaxCodesAtOnce = 1U << 22;

// Codes in code_bits each, first code in the lowest bits of the first byte.
std::vector<uint8_t> pack(std::span<const uint16_t> codes, uint32_t code_bits) {
  std::vector<uint8_t> bytes((codes.size() * code_bits + 7) / 8);
  size_t at = 0;
  for (const uint16_t code : codes) {
    for (uint32_t b = 0; b < code_bits; ++b, ++at) {
      bytes[at / 8] = static_cast<uint8_t>(bytes[at / 8] | ((code >> b & 1) << (at % 8)));
    }
  }
  return bytes;
}

// `bytes` is as long as pack() made it.
void unpack(std::span<const uint8_t> bytes, uint32_t code_bits, std::span<uint16_t> codes) {
  size_t at = 0;
  for (uint16_t& code : codes) {
    uint32_t value = 0;
    for (uint32_t b = 0; b < code_bits; ++b, ++at) value |= (bytes[at / 8] >> (at % 8) & 1U) << b;
    code = static_cast<uint16_t>(value);
  }
}

void add_bits(const std::vector<double>& from, CodebookBits* to) {
  if (to == nullptr) return;
  to->bits.resize(std::max(to->bits.size(), from.size()));
  for (size_t k = 0; k < from.size(); ++k) to->bits[k] += from[k];
}

std::vector<double> raw_bits(const StreamInfo& info, size_t num_frames) {
  return std::vector<double>(info.num_codebooks, static_cast<double>(num_frames) * info.code_bits());
}

Result<void> check(const StreamInfo& info, const SourceSegment& segment) {
  const size_t size = segment.codes.size();
  if (size == 0 || size % info.num_codebooks != 0 || size / info.num_codebooks > info.segment_frames) {
    return ErrorInfo{Errc::kBadArgument,
                     std::to_string(size) + " codes are not 1.." + std::to_string(info.segment_frames) + " frames of " +
                         std::to_string(info.num_codebooks) + " codes",
                     0};
  }
  const uint32_t end = segment.gain == 0 ? 1 : info.codebook_size;
  const auto bad = std::find_if(segment.codes.begin(), segment.codes.end(), [&](uint16_t code) { return code >= end; });
  if (bad != segment.codes.end()) {
    return ErrorInfo{Errc::kBadArgument,
                     "code " + std::to_string(*bad) + " at place " + std::to_string(bad - segment.codes.begin()) +
                         (segment.gain == 0 ? " of a silent segment, expected 0"
                                            : ", expected 0.." + std::to_string(end - 1)),
                     0};
  }
  return {};
}

void run_all(const CodingTools& tools, size_t count, const std::function<void(size_t)>& body) {
  if (tools.parallel_for) return tools.parallel_for(count, body);
  for (size_t i = 0; i < count; ++i) body(i);
}

// Codes as one coder gives them.
struct Body {
  StreamCoder coder = StreamCoder::kRaw;
  std::vector<uint8_t> bytes;
  CodebookBits bits;
};

double bits_of(uint32_t freq) { return kPriorTotalBits - std::log2(static_cast<double>(freq)); }

// Adaptive, or raw where that is longer.
Body encode_without_prior(const StreamInfo& info, const SourceSegment& segment, AdaptiveModel& model) {
  const size_t num_frames = segment.codes.size() / info.num_codebooks;
  Body body{StreamCoder::kAdaptive, {}, {std::vector<double>(info.num_codebooks)}};
  model.reset();
  RangeEncoder encoder;
  for (size_t frame = 0; frame < num_frames; ++frame) {
    model.encode_frame(encoder, std::span(segment.codes).subspan(frame * info.num_codebooks, info.num_codebooks),
                       &body.bits);
  }
  body.bytes = encoder.finish();
  if (body.bytes.size() > (segment.codes.size() * info.code_bits() + 7) / 8) {
    body = {StreamCoder::kRaw, pack(segment.codes, info.code_bits()), {raw_bits(info, num_frames)}};
  }
  return body;
}

std::vector<uint8_t> make_stream(const SourceSegment& segment, const Body& body) {
  std::vector<uint8_t> payload;
  if (segment.gain != 0) {
    append_le(payload, segment.gain);
    payload.push_back(static_cast<uint8_t>(body.coder));
    payload.insert(payload.end(), body.bytes.begin(), body.bytes.end());
  }
  std::vector<uint8_t> stream;
  append_le(stream, codes_crc32c(segment));
  append_le(stream, crc32c(stream, payload));
  stream.insert(stream.end(), payload.begin(), payload.end());
  return stream;
}

// Sources that `source` is coded with, ascending.
std::vector<uint32_t> sources_before(const StreamInfo& info, uint32_t source) {
  if (!info.is_joint()) return {};
  const auto place = std::find(info.source_order.begin(), info.source_order.end(), source);
  std::vector<uint32_t> before(info.source_order.begin(), place);
  std::sort(before.begin(), before.end());
  return before;
}

// What the prior makes of all sources of all segments, [segment * num_sources + source]; nothing of silence.
std::vector<Body> encode_with_prior(const StreamInfo& info, std::span<const std::vector<SourceSegment>> segments,
                                    const CodingTools& tools) {
  struct Counts {
    uint32_t cum, freq;
  };
  const size_t num_sources = info.sources.size();
  std::vector<Body> bodies(segments.size() * num_sources);
  std::vector<size_t> streams;
  for (size_t i = 0; i < bodies.size(); ++i) {
    if (segments[i / num_sources][i % num_sources].gain != 0) streams.push_back(i);
  }
  for (size_t begin = 0, end = 0; begin < streams.size(); begin = end) {
    std::vector<CodePredictor::Sequence> sequences;
    std::vector<std::span<const uint16_t>> codes;
    std::vector<std::vector<Counts>> counts;
    for (size_t sum = 0; end < streams.size(); ++end) {
      const std::vector<SourceSegment>& segment = segments[streams[end] / num_sources];
      const auto source = static_cast<uint32_t>(streams[end] % num_sources);
      const std::vector<uint16_t>& mine = segment[source].codes;
      sum += mine.size();
      if (end > begin && sum > kMaxCodesAtOnce) break;
      sequences.push_back({source, static_cast<uint32_t>(mine.size() / info.num_codebooks), {}});
      for (const uint32_t other : sources_before(info, source)) {
        if (segment[other].gain != 0) sequences.back().given.push_back({other, segment[other].codes});
      }
      codes.emplace_back(mine);
      counts.emplace_back(mine.size());
    }
    tools.predictor->predict(sequences, codes, [&](size_t i, size_t place, std::span<const float> weights) {
      const auto found = counts_of_symbol(weights, kPriorTotalBits, codes[i][place]);
      if (found) counts[i][place] = {found->cum, found->freq};
    });
    run_all(tools, sequences.size(), [&](size_t i) {
      Body& body = bodies[streams[begin + i]];
      body = {StreamCoder::kPrior, {}, {std::vector<double>(info.num_codebooks)}};
      RangeEncoder encoder;
      for (size_t place = 0; place < counts[i].size(); ++place) {
        const Counts& one = counts[i][place];
        encoder.encode(one.cum, one.freq, kPriorTotalBits);
        body.bits.bits[place % info.num_codebooks] += bits_of(one.freq);
      }
      body.bytes = encoder.finish();
    });
  }
  return bodies;
}

// A stream without the codes.
struct ParsedStream {
  uint16_t gain = 0;  // 0: silence, without coder and body
  StreamCoder coder = StreamCoder::kRaw;
  std::span<const uint8_t> body;
  uint64_t byte_offset = 0, body_offset = 0;
  uint32_t codes_crc = 0;
};

Result<ParsedStream> parse_stream(const StreamInfo& info, std::span<const uint8_t> stream, uint64_t byte_offset) {
  if (stream.size() < kStreamHeadBytes) {
    return ErrorInfo{Errc::kTruncated, "a stream of " + std::to_string(stream.size()) + " bytes has no head",
                     byte_offset};
  }
  const auto payload = stream.subspan(kStreamHeadBytes);
  const auto expected_crc = load_le<uint32_t>(stream, 4);
  const uint32_t found_crc = crc32c(stream.first(4), payload);
  if (found_crc != expected_crc) {
    return ErrorInfo{Errc::kBadCrc,
                     "the stream is damaged (payload CRC " + hex(found_crc) + ", expected " + hex(expected_crc) + ")",
                     byte_offset};
  }
  ParsedStream parsed;
  parsed.byte_offset = byte_offset;
  parsed.codes_crc = load_le<uint32_t>(stream, 0);
  if (payload.empty()) return parsed;
  const uint64_t payload_offset = byte_offset + kStreamHeadBytes;
  if (payload.size() < kPayloadHeadBytes) {
    return ErrorInfo{Errc::kBadStream,
                     "a payload of " + std::to_string(payload.size()) + " bytes has no gain and coder", payload_offset};
  }
  parsed.gain = load_le<uint16_t>(payload, 0);
  if (parsed.gain == 0) {
    return ErrorInfo{Errc::kBadStream, "gain 0 in a payload; silence has none", payload_offset};
  }
  const uint8_t coder = payload[2];
  if (coder > static_cast<uint8_t>(StreamCoder::kPrior)) {
    return ErrorInfo{Errc::kUnsupported, "stream coder " + std::to_string(coder) + " needs a newer reader",
                     payload_offset + 2};
  }
  parsed.coder = StreamCoder{coder};
  if (parsed.coder == StreamCoder::kPrior && !info.has_prior()) {
    return ErrorInfo{Errc::kUnsupported, "stream coder 2 needs a prior, and the file names none", payload_offset + 2};
  }
  parsed.body = payload.subspan(kPayloadHeadBytes);
  parsed.body_offset = payload_offset + kPayloadHeadBytes;
  return parsed;
}

Result<SourceSegment> check_codes_crc(const ParsedStream& stream, SourceSegment segment) {
  if (const uint32_t found = codes_crc32c(segment); found != stream.codes_crc) {
    return ErrorInfo{Errc::kCodesCrcMismatch,
                     "the payload is undamaged but decodes to other codes (CRC " + hex(found) + ", expected " +
                         hex(stream.codes_crc) + "): it was written with another model or other numerics",
                     stream.byte_offset};
  }
  return segment;
}

Result<void> check_end(const RangeDecoder& decoder, const ParsedStream& stream) {
  auto end = decoder.finish();
  if (end) return {};
  return ErrorInfo{end.error().code, end.error().message, stream.body_offset + end.error().byte_offset};
}

// Any but prior-coded ones.
Result<SourceSegment> decode_parsed(const StreamInfo& info, uint32_t num_frames, const ParsedStream& stream,
                                    CodebookBits* bits) {
  SourceSegment segment{stream.gain, std::vector<uint16_t>(size_t{num_frames} * info.num_codebooks)};
  if (stream.gain == 0) return check_codes_crc(stream, std::move(segment));
  if (stream.coder == StreamCoder::kAdaptive) {
    AdaptiveModel model(info.num_codebooks, info.codebook_size);
    RangeDecoder decoder(stream.body);
    for (size_t frame = 0; frame < num_frames && !decoder.truncated(); ++frame) {
      model.decode_frame(decoder, std::span(segment.codes).subspan(frame * info.num_codebooks, info.num_codebooks),
                         bits);
    }
    if (auto end = check_end(decoder, stream); !end) return end.error();
  } else {
    const size_t num_bits = segment.codes.size() * info.code_bits();
    if (stream.body.size() != (num_bits + 7) / 8) {
      return ErrorInfo{Errc::kBadStream,
                       "raw codes of " + std::to_string(stream.body.size()) + " bytes, expected " +
                           std::to_string((num_bits + 7) / 8),
                       stream.body_offset};
    }
    if (num_bits % 8 != 0 && stream.body.back() >> (num_bits % 8) != 0) {
      return ErrorInfo{Errc::kBadStream, "the bits after the last raw code are not 0",
                       stream.body_offset + stream.body.size() - 1};
    }
    unpack(stream.body, info.code_bits(), segment.codes);
    const auto largest = *std::max_element(segment.codes.begin(), segment.codes.end());
    if (largest >= info.codebook_size) {
      return ErrorInfo{Errc::kBadStream,
                       "raw code " + std::to_string(largest) + ", expected 0.." +
                           std::to_string(info.codebook_size - 1),
                       stream.body_offset};
    }
    add_bits(raw_bits(info, num_frames), bits);
  }
  return check_codes_crc(stream, std::move(segment));
}

// A stream on its way through decode_segments().
struct StreamState {
  Result<ParsedStream> parsed = ErrorInfo{Errc::kBadArgument, "not read", 0};
  std::optional<Result<SourceSegment>> decoded;  // nothing: not needed, or not yet
  CodebookBits bits;
};

struct PriorRow {
  StreamState* state;
  RangeDecoder decoder;
  SourceSegment segment;
  size_t num_decoded = 0;
};

void decode_prior_rows(const StreamInfo& info, const CodingTools& tools,
                       std::span<const CodePredictor::Sequence> sequences, std::vector<PriorRow>& rows) {
  tools.predictor->generate(
      sequences, [&](size_t i, size_t place, std::span<const float> weights) -> std::optional<uint16_t> {
        PriorRow& row = rows[i];
        if (row.decoder.truncated()) return std::nullopt;
        const auto found = symbol_at(weights, kPriorTotalBits, row.decoder.decode_target(kPriorTotalBits));
        if (!found) return std::nullopt;
        row.decoder.consume(found->cum, found->freq, kPriorTotalBits);
        const auto code = static_cast<uint16_t>(found->symbol);
        row.segment.codes[place] = code;
        row.num_decoded = place + 1;
        row.state->bits.bits[place % info.num_codebooks] += bits_of(found->freq);
        return code;
      });
  for (PriorRow& row : rows) {
    const ParsedStream& stream = *row.state->parsed;
    // Other weights than the writer's lead to anything: too few bytes, too many, other codes. So the codes are looked at
    // first, and what the coder says of its bytes counts only where they are right.
    if (row.num_decoded == row.segment.codes.size()) {
      row.state->decoded = check_codes_crc(stream, std::move(row.segment));
      if (!row.state->decoded->ok()) continue;
      if (auto end = check_end(row.decoder, stream); !end) row.state->decoded = end.error();
    } else {
      row.state->decoded =
          ErrorInfo{Errc::kCodesCrcMismatch,
                    "the payload is undamaged but does not decode (its bytes end after " +
                        std::to_string(row.num_decoded) + " of " + std::to_string(row.segment.codes.size()) +
                        " codes): it was written with another prior or other numerics",
                    stream.byte_offset};
    }
  }
}

std::string describe_prior(const std::array<uint8_t, 32>& id, uint32_t numerics_id) {
  std::string text = "prior ";
  for (size_t i = 0; i < 6; ++i) {
    text += "0123456789abcdef"[id[i] >> 4];
    text += "0123456789abcdef"[id[i] & 15];
  }
  return text + " of numerics " + hex(numerics_id);
}

ErrorInfo no_such_source(const StreamInfo& info, uint32_t segment, uint32_t source) {
  return {Errc::kBadArgument,
          "segment " + std::to_string(segment) + " of source " + std::to_string(source) + "; the file has " +
              std::to_string(info.sources.size()) + " sources",
          0};
}

}  // namespace

Result<std::vector<uint8_t>> encode_stream(const StreamInfo& info, const SourceSegment& segment, AdaptiveModel& model,
                                           CodebookBits* bits) {
  if (auto fits = check(info, segment); !fits) return fits.error();
  Body body;
  if (segment.gain != 0) {
    body = encode_without_prior(info, segment, model);
    add_bits(body.bits.bits, bits);
  }
  return make_stream(segment, body);
}

Result<void> check_segment(const StreamInfo& info, std::span<const SourceSegment> sources) {
  const auto refuse = [](std::string message) { return ErrorInfo{Errc::kBadArgument, std::move(message), 0}; };
  if (sources.size() != info.sources.size()) {
    return refuse(std::to_string(sources.size()) + " sources, expected " + std::to_string(info.sources.size()));
  }
  for (size_t s = 0; s < sources.size(); ++s) {
    if (sources[s].codes.size() != sources[0].codes.size()) {
      return refuse(info.sources[s] + " has " + std::to_string(sources[s].codes.size()) + " codes, expected " +
                    std::to_string(sources[0].codes.size()) + " as " + info.sources[0]);
    }
    if (auto fits = check(info, sources[s]); !fits) return refuse(info.sources[s] + ": " + fits.error().message);
  }
  return {};
}

Result<std::vector<std::vector<std::vector<uint8_t>>>> encode_segments(
    const StreamInfo& info, std::span<const std::vector<SourceSegment>> segments, const CodingTools& tools,
    std::vector<CodebookBits>* bits) {
  const size_t num_sources = info.sources.size();
  for (const std::vector<SourceSegment>& segment : segments) {
    if (auto fits = check_segment(info, segment); !fits) return fits.error();
  }
  if (info.has_prior() || tools.predictor != nullptr) {
    if (auto fits = check_predictor(info, tools.predictor); !fits) return fits.error();
  }
  std::vector<Body> bodies(segments.size() * num_sources);
  if (tools.predictor != nullptr) bodies = encode_with_prior(info, segments, tools);
  std::vector<std::vector<std::vector<uint8_t>>> streams(segments.size(),
                                                         std::vector<std::vector<uint8_t>>(num_sources));
  run_all(tools, bodies.size(), [&](size_t i) {
    const SourceSegment& segment = segments[i / num_sources][i % num_sources];
    if (segment.gain != 0) {
      AdaptiveModel model(info.num_codebooks, info.codebook_size);
      Body other = encode_without_prior(info, segment, model);
      if (tools.predictor == nullptr || other.bytes.size() <= bodies[i].bytes.size()) bodies[i] = std::move(other);
    }
    streams[i / num_sources][i % num_sources] = make_stream(segment, bodies[i]);
  });
  if (bits != nullptr) {
    for (size_t i = 0; i < bodies.size(); ++i) add_bits(bodies[i].bits.bits, &(*bits)[i % num_sources]);
  }
  return streams;
}

Result<SourceSegment> decode_stream(const StreamInfo& info, uint32_t num_frames, std::span<const uint8_t> stream,
                                    uint64_t byte_offset, CodebookBits* bits) {
  auto parsed = parse_stream(info, stream, byte_offset);
  if (!parsed) return parsed.error();
  if (parsed->gain != 0 && parsed->coder == StreamCoder::kPrior) {
    return ErrorInfo{Errc::kNeedsPrior, check_predictor(info, nullptr).error().message, byte_offset};
  }
  return decode_parsed(info, num_frames, *parsed, bits);
}

Result<SourceSegment> EncodedSegment::decode_source(const StreamInfo& info, uint32_t source, CodebookBits* bits) const {
  if (source >= streams.size() || source >= info.sources.size()) return no_such_source(info, index, source);
  auto decoded = decode_stream(info, num_frames, streams[source], byte_offsets[source], bits);
  if (!decoded) return name_stream(decoded.error(), info, index, source);
  return decoded;
}

ErrorInfo name_stream(const ErrorInfo& error, const StreamInfo& info, uint32_t segment, uint32_t source) {
  return {error.code, "segment " + std::to_string(segment) + " of " + info.sources[source] + ": " + error.message,
          error.byte_offset};
}

std::vector<uint32_t> sources_to_read(const StreamInfo& info, std::span<const uint32_t> sources) {
  std::vector<bool> needed(info.sources.size());
  for (const uint32_t source : sources) {
    needed[source] = true;
    for (const uint32_t other : sources_before(info, source)) needed[other] = true;
  }
  std::vector<uint32_t> indices;
  for (uint32_t s = 0; s < needed.size(); ++s) {
    if (needed[s]) indices.push_back(s);
  }
  return indices;
}

std::vector<std::vector<Result<SourceSegment>>> decode_segments(const StreamInfo& info,
                                                                std::span<const EncodedSegment> segments,
                                                                std::span<const uint32_t> sources,
                                                                const CodingTools& tools,
                                                                std::vector<std::vector<CodebookBits>>* bits) {
  const size_t num_sources = info.sources.size();
  const Result<void> fits = info.has_prior() ? check_predictor(info, tools.predictor) : Result<void>();
  std::vector<StreamState> states(segments.size() * num_sources);
  const auto state = [&](size_t segment, uint32_t source) -> StreamState& {
    return states[segment * num_sources + source];
  };

  // What is needed, and all of that which needs no prior.
  std::vector<std::pair<size_t, uint32_t>> plain;
  std::vector<std::vector<size_t>> by_prior(num_sources);  // [source], segments
  for (size_t i = 0; i < segments.size(); ++i) {
    const EncodedSegment& segment = segments[i];
    std::vector<uint32_t> needed(sources.begin(), sources.end());
    for (size_t n = 0; n < needed.size(); ++n) {
      const uint32_t source = needed[n];
      StreamState& mine = state(i, source);
      mine.parsed = parse_stream(info, segment.streams[source], segment.byte_offsets[source]);
      mine.bits.bits.assign(info.num_codebooks, 0);
      if (!mine.parsed) {
        mine.decoded = mine.parsed.error();
      } else if (mine.parsed->gain == 0 || mine.parsed->coder != StreamCoder::kPrior) {
        plain.emplace_back(i, source);
      } else if (!fits) {
        mine.decoded = ErrorInfo{Errc::kNeedsPrior, fits.error().message, mine.parsed->byte_offset};
      } else {
        by_prior[source].push_back(i);
        for (const uint32_t other : sources_before(info, source)) {
          if (std::find(needed.begin(), needed.end(), other) == needed.end()) needed.push_back(other);
        }
      }
    }
  }
  run_all(tools, plain.size(), [&](size_t n) {
    const auto [i, source] = plain[n];
    StreamState& mine = state(i, source);
    mine.decoded = decode_parsed(info, segments[i].num_frames, *mine.parsed, &mine.bits);
  });

  // All at once, or in a joint file a source after the other.
  std::vector<std::vector<uint32_t>> waves;
  if (info.is_joint()) {
    for (const uint32_t source : info.source_order) waves.push_back({source});
  } else {
    waves.emplace_back();
    for (uint32_t s = 0; s < num_sources; ++s) waves.back().push_back(s);
  }
  for (const std::vector<uint32_t>& wave : waves) {
    std::vector<CodePredictor::Sequence> sequences;
    std::vector<PriorRow> rows;
    for (const uint32_t source : wave) {
      const std::vector<uint32_t> before = sources_before(info, source);
      for (const size_t i : by_prior[source]) {
        StreamState& mine = state(i, source);
        CodePredictor::Sequence sequence{source, segments[i].num_frames, {}};
        for (const uint32_t other : before) {
          const Result<SourceSegment>& given = *state(i, other).decoded;
          if (!given) {
            mine.decoded = ErrorInfo{given.error().code,
                                     "it was coded given " + info.sources[other] + ", which does not decode: " +
                                         given.error().message,
                                     given.error().byte_offset};
            break;
          }
          if (given->gain != 0) sequence.given.push_back({other, given->codes});
        }
        if (mine.decoded) continue;
        const size_t num_codes = size_t{segments[i].num_frames} * info.num_codebooks;
        sequences.push_back(std::move(sequence));
        rows.push_back({&mine, RangeDecoder(mine.parsed->body),
                        {mine.parsed->gain, std::vector<uint16_t>(num_codes)}});
      }
    }
    if (!rows.empty()) decode_prior_rows(info, tools, sequences, rows);
  }

  std::vector<std::vector<Result<SourceSegment>>> results(segments.size());
  if (bits != nullptr) bits->assign(segments.size(), {});
  for (size_t i = 0; i < segments.size(); ++i) {
    for (const uint32_t source : sources) {
      StreamState& mine = state(i, source);
      if (bits != nullptr) (*bits)[i].push_back(std::move(mine.bits));
      if (mine.decoded->ok()) {
        results[i].push_back(std::move(*mine.decoded));
      } else {
        results[i].push_back(name_stream(mine.decoded->error(), info, segments[i].index, source));
      }
    }
  }
  return results;
}

Result<void> check_predictor(const StreamInfo& info, const CodePredictor* predictor) {
  if (predictor != nullptr && predictor->prior_id() == info.prior_id && predictor->numerics_id() == info.numerics_id) {
    return {};
  }
  const std::string theirs = describe_prior(info.prior_id, info.numerics_id);
  return ErrorInfo{Errc::kNeedsPrior,
                   "coded with " + theirs + ", but " +
                       (predictor == nullptr ? "no prior is at hand"
                                             : "at hand is " + describe_prior(predictor->prior_id(),
                                                                              predictor->numerics_id())),
                   0};
}

}  // namespace vqcodec::codec
