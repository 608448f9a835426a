#include "vqvae/unet.h"

#include <algorithm>

namespace vqcodec::vqvae {

namespace {

constexpr int64_t kFrameGrain = 8;

void relu(std::vector<float>& values) {
  for (float& value : values) value = value > 0 ? value : 0.0F;
}

// to[i] += from[i], and takes from's length off the front of `queue`, which `from` is added to.
void add_front(std::vector<float>& queue, std::vector<float>& to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += queue[i];
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(to.size()));
}

}  // namespace

UNet::Convolution UNet::load_convolution(runtime::Safetensors& file, const std::string& name, int in, int out,
                                         int stride, int num_bands) {
  const int64_t kernel = stride + 2;
  Convolution layer;
  layer.in = in;
  layer.out = out;
  layer.stride = stride;
  layer.num_bands = num_bands;
  const std::vector<float> weight = file.floats(name + ".weight", {out, in, 3, kernel});
  const std::vector<float> bias = file.floats(name + ".bias", {out});
  std::vector<float> part(static_cast<size_t>(out * kernel * in));
  for (int64_t frame = 0; frame < 3; ++frame) {
    for (int64_t n = 0; n < out; ++n) {
      for (int64_t band = 0; band < kernel; ++band) {
        for (int64_t c = 0; c < in; ++c) {
          part[static_cast<size_t>((n * kernel + band) * in + c)] =
              weight[static_cast<size_t>(((n * in + c) * 3 + frame) * kernel + band)];
        }
      }
    }
    layer.of_frame[frame] =
        runtime::Linear(kernel * in, out, part, frame == 0 ? std::span<const float>(bias) : std::span<const float>());
  }
  return layer;
}

std::vector<UNet::Residual> UNet::load_blocks(runtime::Safetensors& file, const std::string& name, int channels,
                                              int num_bands, int count) {
  std::vector<Residual> blocks;
  for (int i = 0; i < count; ++i) {
    const std::string block = name + "." + std::to_string(i);
    blocks.push_back({load_convolution(file, block + ".first", channels, channels, 1, num_bands),
                      load_convolution(file, block + ".second", channels, channels, 1, num_bands)});
  }
  return blocks;
}

UNet::UNet(runtime::Safetensors& file, const std::string& prefix, const ModelConfig& config) : config_(config) {
  const UNetConfig& unet = *config.unet;
  const auto linear = [&](const std::string& name, int64_t in, int64_t out) {
    return runtime::Linear(in, out, file.floats(name + ".weight", {out, in}), file.floats(name + ".bias", {out}));
  };
  const auto level_name = [&](const char* part, int level) {
    return prefix + "." + part + "." + std::to_string(level);
  };
  const int num_outputs = 2 * config.num_sources(), num_bands = config.num_bands();
  const int first = unet.channels[0], first_bands = config.unet_bands(0);
  in_conv_ = load_convolution(file, prefix + ".in_conv", kNumInputs, first, unet.strides[0], num_bands);
  band_embedding_ = file.floats(prefix + ".band_embedding", {first_bands, first});
  for (int level = 0; level < unet.num_levels(); ++level) {
    const int channels = unet.channels[static_cast<size_t>(level)], bands = config.unet_bands(level);
    down_.push_back(load_blocks(file, level_name("down", level), channels, bands, unet.blocks));
    if (level + 1 == unet.num_levels()) {
      stack_.emplace_back(file, prefix + ".stack", config.encoder, bands * channels, bands * channels, 0);
      break;
    }
    const int below = unet.channels[static_cast<size_t>(level) + 1],
              stride = unet.strides[static_cast<size_t>(level) + 1];
    narrow_.push_back(linear(level_name("narrow", level), int64_t{stride} * channels, below));
    widen_.push_back(linear(level_name("widen", level), below, int64_t{stride} * channels));
    up_.push_back(load_blocks(file, level_name("up", level), channels, bands, unet.blocks));
  }
  head_.push_back(linear(prefix + ".head", first, int64_t{unet.strides[0]} * num_outputs));
  band_bias_ = file.floats(prefix + ".band_bias", {num_bands, num_outputs});
}

UNetStream::UNetStream(const UNet& net) : net_(&net), stack_(net.stack_[0], 0) {
  // Before the first frame there are zeros.
  const auto frame_of = [](const UNet::Convolution& layer) {
    return Frames(static_cast<size_t>(layer.padded_bands() * layer.in));
  };
  const auto held_of = [&](const std::vector<UNet::Residual>& blocks) {
    std::vector<Held> held;
    for (const UNet::Residual& block : blocks) held.push_back({frame_of(block.first), frame_of(block.second), {}});
    return held;
  };
  held_in_ = frame_of(net.in_conv_);
  for (const auto& blocks : net.down_) held_down_.push_back(held_of(blocks));
  for (const auto& blocks : net.up_) held_up_.push_back(held_of(blocks));
  skipped_.resize(net.down_.size());
}

UNetStream::Frames UNetStream::convolve(const UNet::Convolution& layer, Frames& held, const Frames& frames, bool flush,
                                        runtime::ThreadPool& pool) {
  const int64_t in = layer.in, out = layer.out, stride = layer.stride;
  const int64_t frame = int64_t{layer.num_bands} * in, padded = int64_t{layer.padded_bands()} * in;
  const int64_t num_frames = static_cast<int64_t>(frames.size()) / frame;
  const int64_t num_before = static_cast<int64_t>(held.size()) / padded;
  const int64_t num_held = num_before + num_frames + (flush ? 1 : 0);
  held.resize(static_cast<size_t>(num_held * padded));
  for (int64_t t = 0; t < num_frames; ++t) {
    std::copy_n(frames.begin() + t * frame, frame, held.begin() + (num_before + t) * padded + in);
  }
  const int64_t num_out = num_held - 2;
  if (num_out <= 0) return {};
  // All bands of all frames in one product: where a row begins in the zeros between two frames its output is not used.
  const int64_t bands = layer.num_bands / stride, padded_bands = layer.padded_bands() / stride;
  const int64_t num_rows = (num_out - 1) * padded_bands + bands;
  Frames sums(static_cast<size_t>(num_rows * out));
  for (int64_t k = 0; k < 3; ++k) {
    const float* x = held.data() + k * padded;
    const runtime::Linear& part = layer.of_frame[k];
    k == 0 ? part.forward(x, stride * in, num_rows, sums.data(), out, pool)
           : part.forward_add(x, stride * in, num_rows, sums.data(), out, pool);
  }
  held.erase(held.begin(), held.begin() + num_out * padded);
  for (int64_t t = 1; t < num_out; ++t) {
    std::copy_n(sums.begin() + t * padded_bands * out, bands * out, sums.begin() + t * bands * out);
  }
  sums.resize(static_cast<size_t>(num_out * bands * out));
  return sums;
}

UNetStream::Frames UNetStream::pass(const std::vector<UNet::Residual>& blocks, std::vector<Held>& held, Frames frames,
                                    bool flush, runtime::ThreadPool& pool) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    held[i].sum.insert(held[i].sum.end(), frames.begin(), frames.end());
    Frames inner = convolve(blocks[i].first, held[i].first, frames, flush, pool);
    relu(inner);
    frames = convolve(blocks[i].second, held[i].second, inner, flush, pool);
    add_front(held[i].sum, frames);
  }
  return frames;
}

void UNetStream::run(Frames frames, bool flush, runtime::ThreadPool& pool, std::vector<float>& output) {
  const UNetConfig& unet = *net_->config_.unet;
  const auto num_levels = static_cast<size_t>(unet.num_levels());
  Frames x = convolve(net_->in_conv_, held_in_, frames, flush, pool);
  const size_t embedded = net_->band_embedding_.size();
  for (size_t at = 0; at < x.size(); at += embedded) {
    for (size_t i = 0; i < embedded; ++i) x[at + i] += net_->band_embedding_[i];
  }
  for (size_t level = 0; level < num_levels; ++level) {
    x = pass(net_->down_[level], held_down_[level], std::move(x), flush, pool);
    skipped_[level].insert(skipped_[level].end(), x.begin(), x.end());
    if (level + 1 == num_levels) break;
    const runtime::Linear& narrow = net_->narrow_[level];
    const int64_t num_rows = static_cast<int64_t>(x.size()) / narrow.in();
    Frames below(static_cast<size_t>(num_rows * narrow.out()));
    narrow.forward(x.data(), narrow.in(), num_rows, below.data(), narrow.out(), pool);
    x = std::move(below);
  }
  Frames bottom;
  stack_.push(x.data(), static_cast<int64_t>(x.size()) / net_->stack_[0].in(), pool, bottom);
  if (flush) stack_.finish(pool, bottom);
  add_front(skipped_.back(), bottom);
  x = std::move(bottom);
  for (size_t level = num_levels - 1; level-- > 0;) {
    const runtime::Linear& widen = net_->widen_[level];
    const int64_t num_rows = static_cast<int64_t>(x.size()) / widen.in();
    Frames above(static_cast<size_t>(num_rows * widen.out()));
    widen.forward(x.data(), widen.in(), num_rows, above.data(), widen.out(), pool);
    add_front(skipped_[level], above);
    x = pass(net_->up_[level], held_up_[level], std::move(above), flush, pool);
  }

  relu(x);
  const runtime::Linear& head = net_->head_[0];
  const int64_t num_rows = static_cast<int64_t>(x.size()) / head.in();
  Frames logits(static_cast<size_t>(num_rows * head.out()));
  head.forward(x.data(), head.in(), num_rows, logits.data(), head.out(), pool);
  const int64_t bands = net_->config_.num_bands(), width = net_->config_.encoder_out(), outputs = width / bands;
  const int64_t num_frames = static_cast<int64_t>(logits.size()) / width;
  const size_t first = output.size();
  output.resize(first + logits.size());
  pool.parallel_for(num_frames, kFrameGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* from = logits.data() + t * width;
      float* to = output.data() + first + static_cast<size_t>(t * width);
      for (int64_t band = 0; band < bands; ++band) {
        for (int64_t n = 0; n < outputs; ++n) {
          const int64_t i = band * outputs + n;
          to[n * bands + band] = from[i] + net_->band_bias_[static_cast<size_t>(i)];
        }
      }
    }
  });
}

void UNetStream::push(const float* rows, int64_t num_rows, runtime::ThreadPool& pool, std::vector<float>& output) {
  const int64_t bands = net_->config_.num_bands();
  Frames frames(static_cast<size_t>(num_rows * UNet::kNumInputs * bands));
  for (int64_t t = 0; t < num_rows; ++t) {
    for (int64_t kind = 0; kind < UNet::kNumInputs; ++kind) {
      for (int64_t band = 0; band < bands; ++band) {
        frames[static_cast<size_t>((t * bands + band) * UNet::kNumInputs + kind)] =
            rows[(t * UNet::kNumInputs + kind) * bands + band];
      }
    }
  }
  run(std::move(frames), false, pool, output);
}

void UNetStream::finish(runtime::ThreadPool& pool, std::vector<float>& output) { run({}, true, pool, output); }

}  // namespace vqcodec::vqvae
