// Length and speed of the coders on one thread, a few seconds in all: a minute of four sources with codes drawn from a
// skewed distribution, or the codes of a file. zstd on the raw codes is the measure beside it, for both:
//   codec_bench [FILE.vqc]
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "codec/stream_coder.h"
#include "codec/vqc_reader.h"

namespace {

using namespace vqcodec::codec;

struct Codes {
  StreamInfo info;
  std::vector<SourceSegment> streams;
  uint64_t num_codes() const {
    uint64_t count = 0;
    for (const SourceSegment& stream : streams) count += stream.codes.size();
    return count;
  }
};

// Code i of a book has a probability as 1 / (i + 1), a fifth of the codes are those of the frame before.
Codes draw() {
  Codes codes;
  codes.info = {.sample_rate_hz = 44100,
                .num_channels = 2,
                .hop_samples = 1024,
                .sources = {"vocals", "bass", "drums", "other"},
                .num_codebooks = 8,
                .codebook_size = 1024,
                .segment_frames = 512};
  std::mt19937 random(1);
  std::vector<double> weights(codes.info.codebook_size);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 1.0 / static_cast<double>(i + 1);
  std::discrete_distribution<uint16_t> draw_code(weights.begin(), weights.end());
  const uint32_t num_books = codes.info.num_codebooks;
  for (int i = 0; i < 6 * 4; ++i) {
    SourceSegment stream{1, std::vector<uint16_t>(size_t{codes.info.segment_frames} * num_books)};
    for (size_t at = 0; at < stream.codes.size(); ++at)
      stream.codes[at] = at >= num_books && random() % 5 == 0 ? stream.codes[at - num_books] : draw_code(random);
    codes.streams.push_back(std::move(stream));
  }
  return codes;
}

Result<Codes> read(const char* path) {
  auto file = FileSource::open(path);
  if (!file) return file.error();
  auto reader = VqcReader::open(**file);
  if (!reader) return reader.error();
  Codes codes{reader->info(), {}};
  for (uint32_t i = 0; i < reader->num_segments(); ++i) {
    for (uint32_t s = 0; s < codes.info.sources.size(); ++s) {
      auto segment = reader->read_source_segment(i, s);
      if (!segment) return segment.error();
      if (segment->gain != 0) codes.streams.push_back(std::move(*segment));  // silence has no codes to speak of
    }
  }
  return codes;
}

// Seconds of one call: the best of three.
template <class Work>
double seconds(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int run = 0; run < 3; ++run) {
    const auto begin = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

int fail(const ErrorInfo& error) {
  std::fprintf(stderr, "codec_bench: %s (byte %llu)\n", error.message.c_str(),
               static_cast<unsigned long long>(error.byte_offset));
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  Codes codes;
  if (argc > 1) {
    auto found = read(argv[1]);
    if (!found) return fail(found.error());
    codes = std::move(*found);
  } else {
    codes = draw();
  }
  const StreamInfo& info = codes.info;
  const auto num_codes = static_cast<double>(codes.num_codes());
  if (num_codes == 0) {
    std::fprintf(stderr, "codec_bench: %s: no codes but silence\n", argv[1]);
    return 1;
  }
  const double codes_a_second =
      static_cast<double>(info.sources.size() * info.num_codebooks) * info.sample_rate_hz / info.hop_samples;

  AdaptiveModel model(info.num_codebooks, info.codebook_size);
  std::vector<std::vector<uint8_t>> streams;
  CodebookBits bits;
  for (const SourceSegment& stream : codes.streams) {
    auto coded = encode_stream(info, stream, model, &bits);
    if (!coded) return fail(coded.error());
    streams.push_back(std::move(*coded));
  }
  constexpr double kHeadBytes = 11;  // two CRCs, gain and coder
  double coded_bytes = -kHeadBytes * static_cast<double>(streams.size());
  for (const auto& stream : streams) coded_bytes += static_cast<double>(stream.size());
  const double ideal_bytes = std::accumulate(bits.bits.begin(), bits.bits.end(), 0.0) / 8;
  const double raw_bytes = num_codes * std::log2(info.codebook_size) / 8;

  const double encode = seconds([&] {
    for (const SourceSegment& stream : codes.streams) (void)encode_stream(info, stream, model).ok();
  });
  const double decode = seconds([&] {
    for (size_t i = 0; i < streams.size(); ++i) {
      const auto num_frames = static_cast<uint32_t>(codes.streams[i].codes.size() / info.num_codebooks);
      const auto decoded = decode_stream(info, num_frames, streams[i], 0);
      if (!decoded || *decoded != codes.streams[i]) std::abort();
    }
  });

  std::vector<uint16_t> all;
  for (const SourceSegment& stream : codes.streams) all.insert(all.end(), stream.codes.begin(), stream.codes.end());
  const size_t all_bytes = all.size() * sizeof(all[0]);
  std::vector<uint8_t> compressed(ZSTD_compressBound(all_bytes));
  size_t zstd_bytes = 0;
  const double zstd =
      seconds([&] { zstd_bytes = ZSTD_compress(compressed.data(), compressed.size(), all.data(), all_bytes, 19); });

  std::printf("%.0f codes of %u in %zu streams, %.1f audio seconds\n", num_codes, info.codebook_size, streams.size(),
              num_codes / codes_a_second);
  std::printf("raw       %9.0f bytes\n", raw_bytes);
  std::printf("ideal     %9.0f bytes, %.2f %% of raw: sum of -log2 of the model's probabilities\n", ideal_bytes,
              100 * ideal_bytes / raw_bytes);
  std::printf("coded     %9.0f bytes, %.4f %% over the ideal; beside them %.0f bytes of CRCs, gain and coder\n",
              coded_bytes, 100 * (coded_bytes / ideal_bytes - 1), kHeadBytes * static_cast<double>(streams.size()));
  std::printf("zstd 19   %9zu bytes, %.0f codes/s\n", zstd_bytes, num_codes / zstd);
  std::printf("encode    %9.0f codes/s, %.0f x real time, %.2f x zstd's speed\n", num_codes / encode,
              num_codes / encode / codes_a_second, zstd / encode);
  std::printf("decode    %9.0f codes/s, %.0f x real time\n", num_codes / decode, num_codes / decode / codes_a_second);
  return 0;
}
