#include "prior/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/stopwatch.h"
#include "codec/adaptive_model.h"
#include "codec/stream_coder.h"
#include "prior/model.h"
#include "prior/train/network.h"
#include "runtime/safetensors.h"
#include "runtime/sha256.h"
#include "vqvae/train/checkpoint.h"
#include "vqvae/train/schedule.h"

namespace vqcodec::prior::train {

using nlohmann::json;
using vqvae::train::EventWriter;
using vqvae::train::Scalars;
using vqvae::train::to_text;

namespace {

// A segment of a source that is not silent.
struct Place {
  const CodeSong* song;
  int64_t first_frame, num_frames;
};

const uint16_t* codes_at(const CodeSong& song, const CodeSetInfo& info, int source, int64_t frame) {
  return song.codes.data() + (source * song.num_frames + frame) * info.num_codebooks;
}

bool is_silent(const CodeSong& song, const CodeSetInfo& info, int source, int64_t frame) {
  const auto num_segments = static_cast<int64_t>(song.gains.size() / info.sources.size());
  return song.gains[static_cast<size_t>(source * num_segments + frame / info.segment_frames)] == 0;
}

std::vector<Place> places_of(const CodeSet& set, int source, int64_t least_frames) {
  std::vector<Place> places;
  for (const CodeSong& song : set.songs) {
    for (int64_t begin = 0; begin < song.num_frames; begin += set.info.segment_frames) {
      const int64_t frames = std::min<int64_t>(set.info.segment_frames, song.num_frames - begin);
      if (frames >= least_frames && !is_silent(song, set.info, source, begin)) places.push_back({&song, begin, frames});
    }
  }
  return places;
}

const torch::TensorOptions kLong = torch::TensorOptions().dtype(torch::kInt64);

}  // namespace

struct Trainer::State {
  Recipe recipe;
  TrainOptions options;
  std::vector<WeightedCodes> training;
  std::vector<CodeSet> validation;
  CodeSetInfo info;
  torch::Device device;
  Network network{nullptr};
  std::unique_ptr<torch::optim::AdamW> optimizer;
  std::unique_ptr<EventWriter> events;
  int64_t step = 0;
  // Per source, the places of each set, and the sets' cumulative shares of the draws.
  struct Choice {
    std::vector<std::vector<Place>> places;
    std::vector<double> cumulative;
  };
  std::vector<Choice> choices;
  std::vector<double> sums;  // per source, bits a code since the last log line
  int64_t num_summed = 0;
  std::vector<CodeCost> adaptive;  // of the validation sets, found once

  State(const Recipe& r, std::vector<WeightedCodes> train, std::vector<CodeSet> valid, TrainOptions o)
      : recipe(r),
        options(std::move(o)),
        training(std::move(train)),
        validation(std::move(valid)),
        device(options.use_cuda ? torch::kCUDA : torch::kCPU) {
    if (training.empty()) throw Error(ExitCode::kUsage, "there are no codes to train on");
    info = training[0].set.info;
    const auto check = [&](const CodeSet& set) {
      if (!(set.info == info)) {
        throw Error(ExitCode::kBadFile, "code sets of unlike models or segments: " + info.model_id + " and " +
                                            set.info.model_id + "; extract all of them by one model");
      }
    };
    for (const auto& [set, weight] : training) check(set);
    for (const CodeSet& set : validation) check(set);
    for (int s = 0; s < static_cast<int>(info.sources.size()); ++s) {
      Choice choice;
      double total = 0;
      for (const auto& [set, weight] : training) {
        choice.places.push_back(places_of(set, s, recipe.training.crop_frames));
        if (!choice.places.back().empty()) total += weight;
        choice.cumulative.push_back(total);
      }
      if (total == 0) {
        throw Error(ExitCode::kBadFile, info.sources[static_cast<size_t>(s)] + ": no segment of " +
                                            std::to_string(recipe.training.crop_frames) + " frames sounds in any set");
      }
      choices.push_back(std::move(choice));
    }
    const Config config = config_for(recipe, info);
    torch::manual_seed(recipe.training.seed);
    network = Network(config);
    network->autocast = options.precision == vqvae::train::Precision::kBfloat16;
    begin_with_codes();
    network->to(device);
    std::vector<Tensor> matrices, others;
    for (const auto& item : network->named_parameters()) {
      const bool is_matrix = item.value().dim() == 2 && item.key().ends_with(".weight");
      (is_matrix ? matrices : others).push_back(item.value());
    }
    const auto adam = [&](double decay) {
      auto result = std::make_unique<torch::optim::AdamWOptions>(recipe.training.learning_rate);
      result->betas({0.9, 0.98}).weight_decay(decay);
      return result;
    };
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(matrices, adam(recipe.training.weight_decay));
    groups.emplace_back(others, adam(0));
    optimizer = std::make_unique<torch::optim::AdamW>(groups, *adam(0));
    sums.assign(info.sources.size(), 0.0);
  }

  const TrainConfig& config() const { return recipe.training; }

  // Before the first step the bias predicts each code by how often it comes, and the tables have the VQ-VAE's entries, or as
  // much of them as fits in fewer dimensions, so that codes that sound alike are alike.
  void begin_with_codes() {
    torch::NoGradGuard no_grad;
    const Config& sizes = network->config;
    for (int s = 0; s < sizes.num_sources(); ++s) {
      Tensor counts = torch::full({sizes.num_codebooks, sizes.codebook_size}, 0.5);
      float* data = counts.data_ptr<float>();
      for (const auto& places : choices[static_cast<size_t>(s)].places) {
        for (const Place& place : places) {
          const uint16_t* codes = codes_at(*place.song, info, s, place.first_frame);
          for (int64_t i = 0; i < place.num_frames * sizes.num_codebooks; ++i) {
            data[i % sizes.num_codebooks * sizes.codebook_size + codes[i]] += 1;
          }
        }
      }
      network->code_bias[s].copy_(torch::log(counts / counts.sum(1, true)));
    }
    if (!options.model) return;
    const vqvae::ModelConfig& model = options.model->config();
    if (runtime::to_hex(options.model->id()) != info.model_id) {
      throw Error(ExitCode::kModel,
                  "the model is " + runtime::to_hex(options.model->id()) + ", but the codes are of " + info.model_id);
    }
    if (model.code_dim < sizes.embedding_dim) return;
    for (int s = 0; s < sizes.num_sources(); ++s) {
      std::vector<Tensor> tables;
      for (const std::vector<float>& entries : options.model->source(static_cast<size_t>(s)).entries) {
        tables.push_back(torch::tensor(entries).view({sizes.codebook_size, model.code_dim}));
      }
      Tensor entries = torch::stack(tables);  // [H, K, code_dim]
      if (model.code_dim > sizes.embedding_dim) {
        const Tensor rows = entries.flatten(0, 1);
        const Tensor directions = std::get<1>(torch::linalg_eigh(torch::mm(rows.t(), rows)));  // least variance first
        const int64_t dim = sizes.embedding_dim;
        entries = torch::matmul(entries, directions.narrow(1, model.code_dim - dim, dim));
      }
      network->embedding[s].copy_(entries);
    }
    // The first codebook's entries get length 2 on average.
    network->embedding.mul_(2 / network->embedding.select(1, 0).square().sum(-1).mean().sqrt());
  }

  void load_prior(const std::string& path) {
    if (!std::filesystem::exists(path)) throw Error(ExitCode::kModel, path + ": there is no such prior");
    auto file = runtime::Safetensors::open(path);
    Config from = config_of(file);
    if (from.model_id != network->config.model_id) {
      log(path + " is for the codes of another model; those of this one are learnt from there");
      from.model_id = network->config.model_id;
    }
    if (!(from == network->config)) {
      const json was = to_json(from), is = to_json(network->config);
      throw Error(ExitCode::kModel, path + ": is a prior of another shape than the run's. Differences: " +
                                        json::diff(was, is).dump().substr(0, 300));
    }
    torch::NoGradGuard no_grad;
    for (auto& item : network->named_parameters()) {
      const auto shape = item.value().sizes().vec();
      item.value().copy_(torch::tensor(file.floats(item.key(), shape)).view(shape));
    }
    file.check_all_used();
  }

  double learning_rate() const {
    const TrainConfig& t = config();
    return vqvae::train::scheduled_learning_rate(step, t.steps, t.learning_rate, t.warmup_steps,
                                                 t.final_learning_rate_ratio);
  }

  // Copies [frames, kept] of a source at a place to `to`.
  void copy_codes(const CodeSong& song, int source, int64_t first, int64_t frames, int64_t kept, int64_t* to) const {
    const uint16_t* codes = codes_at(song, info, source, first);
    for (int64_t t = 0; t < frames; ++t) {
      for (int64_t h = 0; h < kept; ++h) to[t * kept + h] = codes[t * info.num_codebooks + h];
    }
  }

  // Bits a code of one batch of a source.
  Tensor batch_bits(int s) {
    const TrainConfig& t = config();
    const auto num_sources = static_cast<int>(info.sources.size());
    const auto stream = static_cast<uint64_t>(step) * 64 + static_cast<uint64_t>(s);
    dataset::CounterRandom shared(t.seed, stream, ~uint64_t{0});
    int64_t kept = info.num_codebooks;
    if (shared.chance(t.quality_dropout)) kept = 1 + static_cast<int64_t>(shared.below(static_cast<uint64_t>(kept)));
    const bool with_context = shared.chance(t.context_probability);
    std::vector<ContextCodes> context;
    for (int u = 0; u < num_sources; ++u) {
      if (!with_context || u == s) continue;
      context.push_back({u, torch::zeros({t.batch_size, t.crop_frames, kept}, kLong), torch::zeros({t.batch_size})});
    }
    Tensor codes = torch::empty({t.batch_size, t.crop_frames, kept}, kLong);
    const Choice& choice = choices[static_cast<size_t>(s)];
    for (int64_t item = 0; item < t.batch_size; ++item) {
      dataset::CounterRandom random(t.seed, stream, static_cast<uint64_t>(item));
      const double at = random.uniform() * choice.cumulative.back();
      const auto set = static_cast<size_t>(std::ranges::upper_bound(choice.cumulative, at) - choice.cumulative.begin());
      const std::vector<Place>& places = choice.places[set];
      const Place& place = places[random.below(places.size())];
      const int64_t first =
          place.first_frame +
          static_cast<int64_t>(random.below(static_cast<uint64_t>(place.num_frames - t.crop_frames + 1)));
      copy_codes(*place.song, s, first, t.crop_frames, kept, codes[item].data_ptr<int64_t>());
      for (ContextCodes& other : context) {
        // What is silent is not given, as in coding.
        if (!random.chance(t.context_source_probability) || is_silent(*place.song, info, other.source, first)) continue;
        copy_codes(*place.song, other.source, first, t.crop_frames, kept, other.codes[item].data_ptr<int64_t>());
        other.present[item] = 1.0f;
      }
    }
    for (ContextCodes& other : context) {
      other.codes = other.codes.to(device);
      other.present = other.present.to(device);
    }
    return network->bits(s, codes.to(device), context, t.dropout);
  }

  double train_step() {
    const TrainConfig& t = config();
    torch::manual_seed(dataset::CounterRandom(t.seed, static_cast<uint64_t>(step), 1).next());
    network->train();
    const double rate = learning_rate();
    for (auto& group : optimizer->param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
    }
    optimizer->zero_grad();
    double total = 0;
    const auto num_sources = static_cast<int>(info.sources.size());
    for (int s = 0; s < num_sources; ++s) {
      const Tensor loss = batch_bits(s).mean();
      (loss / num_sources).backward();
      const double value = loss.item<double>();
      sums[static_cast<size_t>(s)] += value;
      total += value / num_sources;
    }
    vqvae::train::check_loss(step, total);
    if (t.gradient_clip > 0) torch::nn::utils::clip_grad_norm_(network->parameters(), t.gradient_clip);
    optimizer->step();
    ++num_summed;
    ++step;
    return total;
  }

  // What the adaptive model makes of the validation sets.
  void code_adaptively() {
    if (!adaptive.empty()) return;
    codec::StreamInfo stream;
    stream.num_codebooks = static_cast<uint32_t>(info.num_codebooks);
    stream.codebook_size = static_cast<uint32_t>(info.codebook_size);
    stream.segment_frames = static_cast<uint32_t>(info.segment_frames);
    codec::AdaptiveModel model(stream.num_codebooks, stream.codebook_size);
    for (int s = 0; s < static_cast<int>(info.sources.size()); ++s) {
      codec::CodebookBits bits{std::vector<double>(static_cast<size_t>(info.num_codebooks))};
      CodeCost cost;
      for (const CodeSet& set : validation) {
        for (const Place& place : places_of(set, s, 1)) {
          const uint16_t* codes = codes_at(*place.song, info, s, place.first_frame);
          const codec::SourceSegment segment{1, {codes, codes + place.num_frames * info.num_codebooks}};
          const auto coded = codec::encode_stream(stream, segment, model, &bits);
          if (!coded) throw Error(ExitCode::kInternal, coded.error().message);
          cost.num_frames += place.num_frames;
        }
      }
      cost.adaptive_bits = bits.bits;
      for (double& value : cost.adaptive_bits) value /= static_cast<double>(std::max<int64_t>(1, cost.num_frames));
      adaptive.push_back(std::move(cost));
    }
  }

  std::vector<CodeCost> validate(bool with_context) {
    torch::NoGradGuard no_grad;
    network->eval();
    code_adaptively();
    std::vector<CodeCost> costs = adaptive;
    for (int s = 0; s < static_cast<int>(info.sources.size()); ++s) {
      CodeCost& cost = costs[static_cast<size_t>(s)];
      Tensor total = torch::zeros({info.num_codebooks}, torch::kFloat64);
      for (const CodeSet& set : validation) {
        for (const Place& place : places_of(set, s, 1)) {
          const auto codes_of = [&](int source) {
            Tensor codes = torch::empty({1, place.num_frames, info.num_codebooks}, kLong);
            copy_codes(*place.song, source, place.first_frame, place.num_frames, info.num_codebooks,
                       codes.data_ptr<int64_t>());
            return codes.to(device);
          };
          std::vector<ContextCodes> context;
          for (int u = 0; with_context && u < static_cast<int>(info.sources.size()); ++u) {
            if (u != s && !is_silent(*place.song, info, u, place.first_frame)) {
              context.push_back({u, codes_of(u), torch::ones({1}).to(device)});
            }
          }
          total += network->bits(s, codes_of(s), context, 0).sum({0, 1}).cpu().to(torch::kFloat64);
        }
      }
      total /= static_cast<double>(std::max<int64_t>(1, cost.num_frames));
      cost.prior_bits.assign(total.data_ptr<double>(), total.data_ptr<double>() + total.numel());
    }
    return costs;
  }

  void save_checkpoint() {
    vqvae::train::write_checkpoint(options.checkpoint_path(), *network, *optimizer, {{"step", torch::tensor(step)}},
                                   {{"prior_config", to_json(network->config).dump()},
                                    {"prior_recipe", to_json(recipe).dump()},
                                    {"name", recipe.name}});
  }

  void load_checkpoint();

  void log(const std::string& text) {
    if (options.on_log) options.on_log(step, config().steps, text);
  }
};

namespace {

struct Facts {
  Config config;
  Recipe recipe;
};

Facts facts_of(const std::string& path) {
  const json facts = vqvae::train::checkpoint_facts(path, {"prior_config", "prior_recipe"}, "vqtrain prior");
  return {parse_config(facts["prior_config"], path), parse_recipe(facts["prior_recipe"], facts["name"], path)};
}

}  // namespace

void Trainer::State::load_checkpoint() {
  const Facts saved = facts_of(options.checkpoint_path());
  if (to_json(saved.recipe) != to_json(recipe) || !(saved.config == network->config)) {
    const json was = {to_json(saved.recipe), to_json(saved.config)}, is = {to_json(recipe), to_json(network->config)};
    throw Error(ExitCode::kBadFile,
                options.checkpoint_path() +
                    ": is of another recipe or of other codes; resume with the same ones, or choose "
                    "another --out folder. Differences: " +
                    json::diff(was, is).dump().substr(0, 300));
  }
  Tensor saved_step;
  vqvae::train::read_checkpoint(options.checkpoint_path(), device, *network, optimizer.get(), {{"step", &saved_step}});
  step = saved_step.item<int64_t>();
}

Trainer::Trainer(const Recipe& recipe, std::vector<WeightedCodes> training, std::vector<CodeSet> validation,
                 TrainOptions options) {
  vqvae::train::begin_run(options);
  state_ = std::make_unique<State>(recipe, std::move(training), std::move(validation), std::move(options));
  if (std::filesystem::exists(state_->options.checkpoint_path())) {
    state_->load_checkpoint();
  } else if (!state_->options.init_prior.empty()) {
    state_->load_prior(state_->options.init_prior);
  }
  state_->events = std::make_unique<EventWriter>(state_->options.out_folder);
}

Trainer::~Trainer() = default;

double Trainer::step() { return state_->train_step(); }
int64_t Trainer::current_step() const { return state_->step; }
int64_t Trainer::total_steps() const { return state_->config().steps; }
void Trainer::save_checkpoint() { state_->save_checkpoint(); }
std::vector<CodeCost> Trainer::validate(bool with_context) { return state_->validate(with_context); }

Scalars Trainer::scalars(const std::vector<CodeCost>& costs, const std::string& prefix) const {
  Scalars result;
  const CodeSetInfo& info = state_->info;
  const double raw = std::ceil(std::log2(info.codebook_size)) * info.num_codebooks;
  double all_prior = 0, all_adaptive = 0, all_raw = 0;
  for (size_t s = 0; s < costs.size(); ++s) {
    const CodeCost& cost = costs[s];
    if (cost.num_frames == 0) continue;
    const auto frames = static_cast<double>(cost.num_frames);
    const double prior_bits = std::accumulate(cost.prior_bits.begin(), cost.prior_bits.end(), 0.0);
    const double adaptive_bits = std::accumulate(cost.adaptive_bits.begin(), cost.adaptive_bits.end(), 0.0);
    result.emplace_back(prefix + info.sources[s] + "_saved_percent", 100 * (1 - prior_bits / raw));
    result.emplace_back(prefix + info.sources[s] + "_adaptive_saved_percent", 100 * (1 - adaptive_bits / raw));
    for (size_t h = 0; h < cost.prior_bits.size(); ++h) {
      result.emplace_back(prefix + info.sources[s] + "_bits_" + std::to_string(h), cost.prior_bits[h]);
    }
    all_prior += frames * prior_bits;
    all_adaptive += frames * adaptive_bits;
    all_raw += frames * raw;
  }
  if (all_raw > 0) {
    result.emplace_back(prefix + "saved_percent", 100 * (1 - all_prior / all_raw));
    result.emplace_back(prefix + "adaptive_saved_percent", 100 * (1 - all_adaptive / all_raw));
  }
  return result;
}

int64_t Trainer::run() {
  State& s = *state_;
  const TrainConfig& t = s.config();
  const Stopwatch running;
  Stopwatch since_log;
  const auto validate_all = [&] {
    if (s.validation.empty()) return;
    Scalars all = scalars(s.validate(false), "");
    for (auto& scalar : scalars(s.validate(true), "given_")) all.push_back(std::move(scalar));
    s.events->write(s.step, "validation", all);
    s.log("validation: " + to_text(all, "_bits_"));
  };
  while (s.step < t.steps) {
    s.train_step();
    if (s.step % t.log_every == 0) {
      const double seconds = since_log.restart();
      Scalars all;
      for (size_t i = 0; i < s.sums.size(); ++i) {
        all.emplace_back("bits_" + s.info.sources[i], s.sums[i] / static_cast<double>(s.num_summed));
      }
      all.emplace_back("learning_rate", s.learning_rate());
      all.emplace_back("frames_per_second", static_cast<double>(s.num_summed * t.batch_size * t.crop_frames) *
                                                static_cast<double>(s.sums.size()) / seconds);
      s.events->write(s.step, "training", all);
      s.log(to_text(all));
      std::ranges::fill(s.sums, 0.0);
      s.num_summed = 0;
    }
    const bool at_end = s.step == t.steps;
    if (s.step % t.validate_every == 0 || at_end) validate_all();
    const bool interrupted = s.options.has_to_stop(running.seconds());
    if (s.step % t.checkpoint_every == 0 || at_end || interrupted) s.save_checkpoint();
    if (interrupted) break;
  }
  return s.step;
}

bool is_prior_checkpoint(const std::string& path) { return vqvae::train::checkpoint_has(path, "prior_config"); }

void export_checkpoint(const std::string& checkpoint_path, const std::string& prior_path,
                       const vqvae::train::ExportOptions& options) {
  const Facts facts = facts_of(checkpoint_path);
  Network network(facts.config);
  Tensor step;
  vqvae::train::read_checkpoint(checkpoint_path, torch::kCPU, *network, nullptr, {{"step", &step}});
  const json training = {{"recipe", to_json(facts.recipe)}, {"steps", step.item<int64_t>()}};
  vqvae::train::write_model(prior_path, network->named_parameters().pairs(),
                            {{"format", kFormatName},
                             {"config", to_json(facts.config).dump()},
                             {"name", facts.recipe.name},
                             {"training", training.dump()}},
                            options);
}

}  // namespace vqcodec::prior::train
