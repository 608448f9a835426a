#include "prior/coder.h"

#include <algorithm>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "codec/cdf.h"
#include "codec/range_coder.h"
#include "codec/stream_coder.h"
#include "prior/random_prior.h"
#include "runtime/sha256.h"

namespace vqcodec::prior {

Coder::Coder(std::shared_ptr<const Model> model, const codec::StreamInfo& info, runtime::ThreadPool& pool,
             const CoderOptions& options)
    : model_(std::move(model)), pool_(pool), num_codebooks_(static_cast<int>(info.num_codebooks)) {
  const Config& config = model_->config();
  const std::string model_id = runtime::to_hex(info.model_id);
  if (model_id != config.model_id) {
    throw Error(ExitCode::kModel, "the prior " + runtime::to_hex(model_->id()).substr(0, 12) +
                                      " is for codes of model " + config.model_id.substr(0, 12) +
                                      ", but these are of model " + model_id.substr(0, 12));
  }
  const auto contradicts = [&](const std::string& what) {
    throw Error(ExitCode::kBadFile, what + ", which the prior for this model, " +
                                        runtime::to_hex(model_->id()).substr(0, 12) + ", does not have");
  };
  if (info.codebook_size != static_cast<uint32_t>(config.codebook_size))
    contradicts("codebooks of " + std::to_string(info.codebook_size) + " codes");
  if (num_codebooks_ > config.num_codebooks) contradicts(std::to_string(num_codebooks_) + " codebooks");
  for (const std::string& source : info.sources) {
    const auto found = std::ranges::find(config.sources, source);
    if (found == config.sources.end()) contradicts("source " + source);
    sources_.push_back(static_cast<int>(found - config.sources.begin()));
  }
  const int64_t rows = options.max_cache_bytes / std::max<int64_t>(Stepper::cache_bytes_per_row(*model_), 1);
  max_rows_ = static_cast<size_t>(std::clamp<int64_t>(rows, 1, std::max(options.max_rows, 1)));
}

std::vector<Context> Coder::contexts(const Sequence& sequence) const {
  std::vector<Context> result;
  for (const Sequence::Given& given : sequence.given) {
    result.push_back({sources_.at(given.source), num_codebooks_, given.codes});
  }
  return result;
}

void Coder::predict(std::span<const Sequence> sequences, std::span<const std::span<const uint16_t>> codes,
                    const Visit& visit) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < sequences.size(); ++i) {
    segments.push_back({sources_.at(sequences[i].source), num_codebooks_, codes[i], contexts(sequences[i])});
  }
  evaluate(
      *model_, segments,
      [&](size_t segment, int64_t frame, int codebook, std::span<float> logits) {
        to_weights(logits);
        visit(segment, static_cast<size_t>(frame * num_codebooks_ + codebook), logits);
      },
      pool_);
}

void Coder::generate(std::span<const Sequence> sequences, const Choose& choose) {
  // Batches of one size, so that none is left with a few rows.
  const size_t num_batches = (sequences.size() + max_rows_ - 1) / max_rows_;
  for (size_t batch = 0; batch < num_batches; ++batch) {
    const size_t begin = batch * sequences.size() / num_batches, end = (batch + 1) * sequences.size() / num_batches;
    std::vector<Stepper::Row> rows;
    for (const Sequence& sequence : sequences.subspan(begin, end - begin)) {
      rows.push_back({sources_.at(sequence.source), num_codebooks_, sequence.num_frames, contexts(sequence)});
    }
    std::vector<uint8_t> ended(rows.size());
    Stepper stepper(model_, std::move(rows), pool_);
    const ChooseCode one = [&](int64_t row, int codebook, std::span<float> logits) -> uint16_t {
      const auto r = static_cast<size_t>(row);
      if (ended[r] != 0) return 0;  // the rest of its last frame
      to_weights(logits);
      const auto place = static_cast<size_t>(stepper.num_frames_done() * num_codebooks_ + codebook);
      const auto code = choose(begin + r, place, logits);
      if (code) return *code;
      ended[r] = 1;
      stepper.end_row(r);
      return 0;
    };
    while (stepper.step(one)) {
    }
  }
}

std::vector<uint32_t> joint_order(const Model& model, const std::vector<std::string>& sources) {
  std::vector<std::string> names;
  if (const auto found = model.metadata().find("joint_order"); found != model.metadata().end()) {
    const auto json = nlohmann::json::parse(found->second, nullptr, false);
    for (const auto& name : json.is_array() ? json : nlohmann::json::array()) {
      if (name.is_string()) names.push_back(name.get<std::string>());
    }
  }
  names.insert(names.end(), {"drums", "bass", "other", "vocals"});
  names.insert(names.end(), sources.begin(), sources.end());
  std::vector<uint32_t> order;
  for (const std::string& name : names) {
    const auto at = std::ranges::find(sources, name);
    const auto index = static_cast<uint32_t>(at - sources.begin());
    if (at != sources.end() && std::ranges::find(order, index) == order.end()) order.push_back(index);
  }
  return order;
}

std::string check_coding(const std::shared_ptr<const Model>& model, runtime::ThreadPool& pool) {
  const Config& config = model->config();
  codec::StreamInfo info;
  info.sources = config.sources;
  info.num_codebooks = static_cast<uint32_t>(config.num_codebooks);
  info.codebook_size = static_cast<uint32_t>(config.codebook_size);
  for (size_t i = 0; i < info.model_id.size(); ++i) {
    info.model_id[i] = static_cast<uint8_t>(std::stoi(config.model_id.substr(2 * i, 2), nullptr, 16));
  }
  Coder coder(model, info, pool);
  constexpr uint32_t kFrames = 48;
  SplitMix64 random(1);
  std::vector<std::vector<uint16_t>> codes(info.sources.size());
  std::vector<codec::CodePredictor::Sequence> sequences;
  std::vector<std::span<const uint16_t>> views;
  for (uint32_t s = 0; s < info.sources.size(); ++s) {
    for (uint32_t i = 0; i < kFrames * info.num_codebooks; ++i) {
      codes[s].push_back(static_cast<uint16_t>(random.below(info.codebook_size)));
    }
    sequences.push_back({s, kFrames, {}});
    for (uint32_t other = 0; other < s; ++other) sequences[s].given.push_back({other, codes[other]});
  }
  for (const auto& one : codes) views.emplace_back(one);
  std::vector<std::vector<codec::SymbolCounts>> counts(codes.size());
  for (size_t s = 0; s < codes.size(); ++s) counts[s].resize(codes[s].size());
  coder.predict(sequences, views, [&](size_t s, size_t place, std::span<const float> weights) {
    const auto found = codec::counts_of_symbol(weights, codec::kPriorTotalBits, codes[s][place]);
    if (found) counts[s][place] = *found;
  });
  std::vector<std::vector<uint8_t>> streams;
  for (const auto& one : counts) {
    codec::RangeEncoder encoder;
    for (const codec::SymbolCounts& count : one) encoder.encode(count.cum, count.freq, codec::kPriorTotalBits);
    streams.push_back(encoder.finish());
  }
  std::vector<codec::RangeDecoder> decoders(streams.begin(), streams.end());
  std::vector<size_t> num_right(codes.size());
  coder.generate(sequences, [&](size_t s, size_t place, std::span<const float> weights) -> std::optional<uint16_t> {
    const auto target = decoders[s].decode_target(codec::kPriorTotalBits);
    const auto found = codec::symbol_at(weights, codec::kPriorTotalBits, target);
    if (!found || found->symbol != codes[s][place]) return std::nullopt;
    decoders[s].consume(found->cum, found->freq, codec::kPriorTotalBits);
    ++num_right[s];
    return static_cast<uint16_t>(found->symbol);
  });
  for (size_t s = 0; s < codes.size(); ++s) {
    if (num_right[s] != codes[s].size() || !decoders[s].finish().ok()) {
      return "code " + std::to_string(num_right[s]) + " of " + info.sources[s] + " does not decode";
    }
  }
  return {};
}

}  // namespace vqcodec::prior
