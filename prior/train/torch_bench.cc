// The runtime against LibTorch: the same prior of the default shape with random weights, on one thread, in time of the CPU, which
// other programs hardly change. Whole segments through both networks; and frame by frame, with LibTorch keeping keys and
// values as the runtime does. Prints what each takes and how far the results are apart.
//   prior_torch_bench [rows = 32] [frames = 256]
#include "vqvae/train/torch.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "prior/predictor.h"
#include "prior/random_prior.h"
#include "prior/train/network.h"
#include "runtime/cpu.h"

namespace {

using namespace vqcodec;
using prior::train::Network;
using torch::Tensor;
namespace F = torch::nn::functional;

template <class Work>
double cpu_seconds(const Work& work) {
  double best = 1e9;
  for (int run = 0; run < 3; ++run) {
    const std::clock_t begin = std::clock();
    work();
    best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return best;
}

// Frame by frame for rows of one source. codes: [B, T, H]. Returns the logits of the last frame, [B, H, K].
Tensor step_through(prior::train::NetworkImpl& network, int source, const Tensor& codes) {
  const prior::Config& config = network.config;
  const int64_t batch = codes.size(0), frames = codes.size(1), width = config.width;
  const int64_t heads = config.num_heads, half = config.head_dim() / 2, window = config.window_frames;
  const auto layers = static_cast<size_t>(config.num_layers);
  std::vector<Tensor> keys, values;  // [B, heads, window, head_dim], the last `seen` of them in use
  for (size_t i = 0; i < layers; ++i) {
    keys.push_back(torch::zeros({batch, heads, frames, 2 * half}));
    values.push_back(torch::zeros({batch, heads, frames, 2 * half}));
  }
  const Tensor frequency = torch::pow(10000.0, torch::arange(half) * (-1.0 / static_cast<double>(half)));
  std::vector<Tensor> logits;
  Tensor before = torch::zeros({batch, config.num_codebooks * config.embedding_dim});
  for (int64_t t = 0; t < frames; ++t) {
    const Tensor base = network.quality[config.num_codebooks - 1];
    Tensor x = t == 0 ? (network.start[source] + base).expand({batch, width})
                      : network.input(before) + network.source[source] + base;
    const Tensor cos = torch::cos(frequency * t), sin = torch::sin(frequency * t);
    const auto rotate = [&](const Tensor& a) {
      const auto part = a.chunk(2, -1);
      return torch::cat({part[0] * cos - part[1] * sin, part[1] * cos + part[0] * sin}, -1);
    };
    const int64_t first = std::max<int64_t>(0, t + 1 - window), seen = t + 1 - first;
    for (size_t i = 0; i < layers; ++i) {
      auto& layer = *network.layers[i]->as<prior::train::Layer>();
      const auto qkv = layer.qkv(layer.norm1(x)).view({batch, 3, heads, 2 * half}).unbind(1);
      keys[i].select(2, t).copy_(rotate(qkv[1]));
      values[i].select(2, t).copy_(qkv[2]);
      const Tensor attended =
          at::scaled_dot_product_attention(rotate(qkv[0]).unsqueeze(2), keys[i].narrow(2, first, seen),
                                           values[i].narrow(2, first, seen));
      x = x + layer.proj(attended.reshape({batch, width}));
      x = x + layer.fc2(F::gelu(layer.fc1(layer.norm2(x))));
    }
    const Tensor z = network.norm(x);
    Tensor sum = torch::zeros({batch, config.embedding_dim});
    std::vector<Tensor> entries;
    logits.clear();
    for (int64_t h = 0; h < config.num_codebooks; ++h) {
      const auto at = static_cast<size_t>(h);
      const Tensor query = network.code_fc2[at](F::gelu(network.code_fc1[at](torch::cat({z, sum}, -1))));
      logits.push_back(torch::addmm(network.code_bias[source][h], query, network.embedding[source][h].t()));
      entries.push_back(network.embedding[source][h].index_select(0, codes.select(1, t).select(1, h)));
      sum = sum + entries.back();
    }
    before = torch::cat(entries, -1);
  }
  return torch::stack(logits, 1);
}

}  // namespace

int main(int argc, char** argv) {
  const int num_rows = argc > 1 ? std::atoi(argv[1]) : 32, num_frames = argc > 2 ? std::atoi(argv[2]) : 256;
  if (num_rows < 1 || num_rows > 1024 || num_frames < 1 || num_frames > 4096) {
    std::fprintf(stderr, "prior_torch_bench [rows 1..1024] [frames 1..4096]\n");
    return 1;
  }
  torch::set_num_threads(1);
  torch::NoGradGuard no_grad;
  prior::Config config;
  config.model_id.assign(64, '0');
  const auto bytes = prior::make_random_prior(config, 1, false).bytes();
  const auto model = prior::Model::from_file(runtime::Safetensors::open_memory(bytes, "random"));
  auto file = runtime::Safetensors::open_memory(bytes, "random");
  Network network(config);
  for (auto& item : network->named_parameters()) {
    const auto shape = item.value().sizes().vec();
    item.value().copy_(torch::tensor(file.floats(item.key(), shape)).view(shape));
  }
  network->eval();

  constexpr int kSource = 1;
  const Tensor codes =
      torch::randint(config.codebook_size, {num_rows, num_frames, config.num_codebooks}, torch::kInt64);
  std::vector<std::vector<uint16_t>> rows_of_codes;
  std::vector<prior::Segment> segments;
  std::vector<prior::Stepper::Row> rows;
  for (int r = 0; r < num_rows; ++r) {
    const Tensor flat = codes[r].flatten();
    rows_of_codes.emplace_back(flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel());
  }
  for (const auto& mine : rows_of_codes) {
    segments.push_back({kSource, config.num_codebooks, mine, {}});
    rows.push_back({kSource, config.num_codebooks, num_frames, {}});
  }
  const double num_codes = static_cast<double>(codes.numel());
  runtime::ThreadPool pool(1);
  std::printf("%d rows of %d frames, one thread, path %s\n", num_rows, num_frames,
              runtime::path_name(runtime::current_path()));
  const auto report = [&](const char* name, double ours, double theirs, double difference) {
    std::printf(
        "%-16s a CPU second: runtime %8.0f codes, LibTorch %8.0f; runtime takes %.2f of LibTorch's time; "
        "greatest difference of a logit %.1e\n",
        name, num_codes / ours, num_codes / theirs, ours / theirs, difference);
  };

  std::vector<float> last(static_cast<size_t>(num_rows) *
                          static_cast<size_t>(config.num_codebooks * config.codebook_size));
  const auto keep = [&](int64_t row, int codebook, std::span<const float> logits) {
    std::ranges::copy(logits, last.begin() + (row * config.num_codebooks + codebook) * config.codebook_size);
  };
  const auto compare = [&](const Tensor& theirs) {
    return (torch::tensor(last).view({num_rows, config.num_codebooks, config.codebook_size}) - theirs)
        .abs()
        .max()
        .item<double>();
  };
  Tensor whole;
  const double ours_whole = cpu_seconds([&] {
    prior::evaluate(
        *model, segments,
        [&](size_t segment, int64_t frame, int codebook, std::span<float> logits) {
          if (frame + 1 == num_frames) keep(static_cast<int64_t>(segment), codebook, logits);
        },
        pool);
  });
  const double theirs_whole = cpu_seconds([&] {
    std::vector<Tensor> parts;  // eight rows at a time, whose logits fit the memory
    for (const Tensor& part : codes.split(8))
      parts.push_back(network->logits(kSource, part, {}).select(1, num_frames - 1));
    whole = torch::cat(parts);
  });
  report("whole segments", ours_whole, theirs_whole, compare(whole));

  Tensor stepped;
  const double ours_steps = cpu_seconds([&] {
    prior::Stepper stepper(model, rows, pool);
    while (stepper.step([&](int64_t row, int codebook, std::span<float> logits) {
      const int64_t frame = stepper.num_frames_done();
      if (frame + 1 == num_frames) keep(row, codebook, logits);
      return rows_of_codes[static_cast<size_t>(row)][static_cast<size_t>(frame * config.num_codebooks + codebook)];
    })) {
    }
  });
  const double theirs_steps = cpu_seconds([&] { stepped = step_through(*network, kSource, codes); });
  report("steps", ours_steps, theirs_steps, compare(stepped));
  return 0;
}
