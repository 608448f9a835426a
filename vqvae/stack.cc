#include "vqvae/stack.h"

#include <algorithm>

#include "runtime/ops.h"

namespace vqcodec::vqvae {

namespace {

constexpr int64_t kRowGrain = 16;
constexpr float kNormEps = 1e-5f;  // LibTorch's default

runtime::Linear load_linear(runtime::Safetensors& file, const std::string& prefix, int64_t in, int64_t out) {
  return runtime::Linear(in, out, file.floats(prefix + ".weight", {out, in}), file.floats(prefix + ".bias", {out}));
}

}  // namespace

Stack::Stack(runtime::Safetensors& file, const std::string& prefix, const StackConfig& config, int in, int out,
             int num_sources)
    : config_(config) {
  const int64_t width = config.width, kernel = config.kernel_frames;
  in_ = load_linear(file, prefix + ".in_layer", in, width);
  if (num_sources > 0) source_embedding_ = file.floats(prefix + ".source_embedding", {num_sources, width});
  for (size_t i = 0; i < config.dilations.size(); ++i) {
    const std::string name = prefix + ".blocks." + std::to_string(i);
    Block block;
    block.dilation = config.dilations[i];
    const std::vector<float> weight = file.floats(name + ".depthwise_weight", {width, kernel});
    block.depthwise_weight.resize(weight.size());
    for (int64_t c = 0; c < width; ++c) {
      for (int64_t k = 0; k < kernel; ++k) {
        block.depthwise_weight[static_cast<size_t>(k * width + c)] = weight[static_cast<size_t>(c * kernel + k)];
      }
    }
    block.depthwise_bias = file.floats(name + ".depthwise_bias", {width});
    block.norm_weight = file.floats(name + ".norm.weight", {width});
    block.norm_bias = file.floats(name + ".norm.bias", {width});
    block.up = load_linear(file, name + ".up", width, width * config.expansion);
    block.down = load_linear(file, name + ".down", width * config.expansion, width);
    blocks_.push_back(std::move(block));
  }
  norm_weight_ = file.floats(prefix + ".norm.weight", {width});
  norm_bias_ = file.floats(prefix + ".norm.bias", {width});
  head_ = load_linear(file, prefix + ".head", width, out);
}

StackStream::StackStream(const Stack& stack, int source) : stack_(&stack), source_(source) {
  for (const Stack::Block& block : stack.blocks_) {
    const int pad = block.dilation * (stack.config_.kernel_frames / 2);
    held_.emplace_back(static_cast<size_t>(pad * stack.config_.width), 0.0f);
  }
}

void StackStream::push(const float* rows, int64_t num_rows, runtime::ThreadPool& pool, std::vector<float>& output) {
  if (num_rows == 0) return;
  const int64_t width = stack_->config_.width;
  std::vector<float> hidden(static_cast<size_t>(num_rows * width));
  stack_->in_.forward(rows, stack_->in(), num_rows, hidden.data(), width, pool);
  if (!stack_->source_embedding_.empty()) {
    const float* embedding = stack_->source_embedding_.data() + source_ * width;
    for (int64_t r = 0; r < num_rows; ++r) {
      for (int64_t c = 0; c < width; ++c) hidden[static_cast<size_t>(r * width + c)] += embedding[c];
    }
  }
  run(std::move(hidden), false, pool, output);
}

void StackStream::finish(runtime::ThreadPool& pool, std::vector<float>& output) { run({}, true, pool, output); }

void StackStream::run(std::vector<float> rows, bool flush, runtime::ThreadPool& pool, std::vector<float>& output) {
  const int64_t width = stack_->config_.width, kernel = stack_->config_.kernel_frames;
  std::vector<float> mixed, inner;
  for (size_t i = 0; i < held_.size(); ++i) {
    const Stack::Block& block = stack_->blocks_[i];
    std::vector<float>& held = held_[i];
    const int64_t pad = block.dilation * (kernel / 2);
    held.insert(held.end(), rows.begin(), rows.end());
    if (flush) held.resize(held.size() + static_cast<size_t>(pad * width), 0.0f);
    const int64_t num_held = static_cast<int64_t>(held.size()) / width;
    const int64_t num_out = std::max<int64_t>(0, num_held - 2 * pad);
    rows.resize(static_cast<size_t>(num_out * width));
    if (num_out == 0) continue;
    const int64_t inner_width = block.up.out();
    mixed.resize(rows.size());
    inner.resize(static_cast<size_t>(num_out * inner_width));
    pool.parallel_for(num_out, kRowGrain, [&](int64_t begin, int64_t end) {
      float* out = mixed.data() + begin * width;
      runtime::depthwise_conv1d(held.data() + begin * width, width, end - begin, width, kernel, block.dilation,
                                block.depthwise_weight.data(), block.depthwise_bias.data(), out, width);
      runtime::layer_norm(out, width, end - begin, width, block.norm_weight.data(), block.norm_bias.data(), kNormEps,
                          out, width);
    });
    block.up.forward(mixed.data(), width, num_out, inner.data(), inner_width, pool);
    pool.parallel_for(num_out, kRowGrain, [&](int64_t begin, int64_t end) {
      float* out = inner.data() + begin * inner_width;
      runtime::gelu(out, (end - begin) * inner_width, out);
    });
    std::copy_n(held.data() + pad * width, num_out * width, rows.data());
    block.down.forward_add(inner.data(), inner_width, num_out, rows.data(), width, pool);
    held.erase(held.begin(), held.begin() + num_out * width);
  }
  const int64_t num_rows = static_cast<int64_t>(rows.size()) / width;
  if (num_rows == 0) return;
  pool.parallel_for(num_rows, kRowGrain, [&](int64_t begin, int64_t end) {
    float* out = rows.data() + begin * width;
    runtime::layer_norm(out, width, end - begin, width, stack_->norm_weight_.data(), stack_->norm_bias_.data(),
                        kNormEps, out, width);
  });
  const size_t old_size = output.size();
  const int64_t num_outputs = stack_->out();
  output.resize(old_size + static_cast<size_t>(num_rows * num_outputs));
  stack_->head_.forward(rows.data(), width, num_rows, output.data() + old_size, num_outputs, pool);
}

}  // namespace vqcodec::vqvae
