// Speed of a prior of the default shape with random weights, on the path in use: codes a second of whole segments
// (encoding) and of steps (decoding), with 1 and 2 threads; and, in time of the CPU, which other programs hardly change,
// the multiply-adds against those of a plain matrix product of the runtime in the same run.
//   prior_bench [rows = 60] [frames = 256]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "codec/cdf.h"
#include "prior/predictor.h"
#include "prior/random_prior.h"
#include "runtime/cpu.h"

namespace {

using namespace vqcodec;

constexpr uint32_t kTotalBits = 24;

struct Time {
  double wall_seconds = 1e9;
  double cpu_seconds = 1e9;  // of all threads
};

// The best of three.
template <typename Work>
Time measure(const Work& work) {
  using Clock = std::chrono::steady_clock;
  Time best;
  for (int run = 0; run < 3; ++run) {
    const auto begin = Clock::now();
    const std::clock_t cpu_begin = std::clock();
    work();
    best.cpu_seconds = std::min(best.cpu_seconds, static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC);
    best.wall_seconds = std::min(best.wall_seconds, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

// Multiply-adds a second of the CPU of a product that fits the caches: what the kernels can reach.
double plain_product() {
  constexpr int64_t kRows = 96, kIn = 192, kOut = 768, kCalls = 100;
  const std::vector<float> weight(kIn * kOut, 0.5f), x(kRows * kIn, 0.5f);
  const runtime::Linear linear(kIn, kOut, weight, {});
  runtime::ThreadPool pool(1);
  std::vector<float> y(kRows * kOut);
  const Time time = measure([&] {
    for (int64_t i = 0; i < kCalls; ++i) linear.forward(x.data(), kIn, kRows, y.data(), kOut, pool);
  });
  return static_cast<double>(kCalls * kRows * kIn * kOut) / time.cpu_seconds;
}

double context_multiply_adds(const prior::Config& config) {
  return static_cast<double>((config.num_sources() - 1) * config.lookahead_frames * config.embedding_dim *
                             config.width) /
         config.num_codebooks;
}

double multiply_adds_a_code(const prior::Config& config) {
  const double width = config.width, dim = config.embedding_dim, codebooks = config.num_codebooks;
  const double input = codebooks * dim * width;
  const double layers = config.num_layers * width * width * (4 + 2 * config.mlp_ratio);
  const double attention = config.num_layers * 2.0 * config.window_frames * width;
  const double in_frame = config.frame_width * (width + 2 * dim);
  const double logits = dim * config.codebook_size;
  std::printf(
      "multiply-adds a code: input %.0f, layers %.0f, attention %.0f, networks within the frame %.0f, logits %.0f; "
      "with all other sources as context %.0f more\n",
      input / codebooks, layers / codebooks, attention / codebooks, in_frame, logits, context_multiply_adds(config));
  return (input + layers + attention) / codebooks + in_frame + logits;
}

}  // namespace

int main(int argc, char** argv) {
  const int num_rows = argc > 1 ? std::atoi(argv[1]) : 60, num_frames = argc > 2 ? std::atoi(argv[2]) : 256;
  if (num_rows < 1 || num_rows > 4096 || num_frames < 1 || num_frames > 65536) {
    std::fprintf(stderr, "prior_bench [rows 1..4096] [frames 1..65536]\n");
    return 1;
  }
  const prior::Config config;
  const auto model =
      prior::Model::from_file(runtime::Safetensors::open_memory(prior::make_random_prior(config, 1).bytes(), "random"));
  const double work = multiply_adds_a_code(config), context_work = context_multiply_adds(config);
  std::printf("sum %.0f; %d segments of %d frames; path %s; %.1f MiB of cache a row\n", work, num_rows, num_frames,
              runtime::path_name(runtime::current_path()),
              static_cast<double>(prior::Stepper::cache_bytes_per_row(*model)) / (1 << 20));

  prior::SplitMix64 random(2);
  const auto codes_a_segment = static_cast<size_t>(num_frames * config.num_codebooks);
  std::vector<std::vector<uint16_t>> codes(static_cast<size_t>(num_rows), std::vector<uint16_t>(codes_a_segment));
  std::vector<prior::Segment> segments, with_context;
  std::vector<prior::Stepper::Row> rows;
  for (int i = 0; i < num_rows; ++i) {
    auto& mine = codes[static_cast<size_t>(i)];
    for (uint16_t& code : mine) code = static_cast<uint16_t>(random.below(static_cast<uint32_t>(config.codebook_size)));
    segments.push_back({i % config.num_sources(), config.num_codebooks, mine, {}});
    rows.push_back({i % config.num_sources(), config.num_codebooks, num_frames, {}});
  }
  with_context = segments;
  for (auto& segment : with_context)
    for (int other = 0; other < config.num_sources(); ++other)
      if (other != segment.source) segment.context.push_back({other, config.num_codebooks, codes[0]});
  const double num_codes = static_cast<double>(num_rows) * static_cast<double>(codes_a_segment);

  for (const int num_threads : {1, 2}) {
    runtime::ThreadPool pool(num_threads);
    const double best = plain_product();
    const auto report = [&](const char* name, double multiply_adds, Time time) {
      const double speed = num_codes * multiply_adds / time.cpu_seconds;
      std::printf(
          "%d thread%s  %-28s %8.0f codes/s; a CPU second: %7.0f codes, %5.1f GMAC, %3.0f %% of a plain product's "
          "%.1f\n",
          num_threads, num_threads == 1 ? " " : "s", name, num_codes / time.wall_seconds, num_codes / time.cpu_seconds,
          speed * 1e-9, 100 * speed / best, best * 1e-9);
    };
    std::vector<std::vector<prior::CodeCounts>> counts;
    report("whole segments", work, measure([&] { counts = prior::count_codes(*model, segments, kTotalBits, pool); }));
    report("whole segments with context", work + context_work,
           measure([&] { prior::count_codes(*model, with_context, kTotalBits, pool); }));
    report("steps, finding symbols", work, measure([&] {
             prior::Stepper stepper(model, rows, pool);
             while (stepper.step([&](int64_t row, int codebook, std::span<float> logits) {
               const auto at = static_cast<size_t>(stepper.num_frames_done() * config.num_codebooks + codebook);
               prior::to_weights(logits);
               const auto found = codec::symbol_at(logits, kTotalBits, counts[static_cast<size_t>(row)][at].cum);
               if (!found.ok() || found->symbol != codes[static_cast<size_t>(row)][at]) std::abort();
               return static_cast<uint16_t>(found->symbol);
             })) {
             }
           }));
  }
  return 0;
}
