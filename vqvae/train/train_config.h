// How a model is trained: the "training" part of a recipe. No LibTorch here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "dataset/stems.h"
#include "vqvae/config.h"

namespace vqcodec::vqvae::train {

// Weights of the terms of the loss; a term of weight 0 is not computed. M(S') is the sum of a random subset of the
// sources, S'' its complement (PAPER: Kim et al. 2021).
struct LossWeights {
  double select = 1;           // |M(S') - decoded(S')|_1 on the waveform
  double complement = 1;       // the same for S''
  double select_stft = 1;      // |STFT(M(S')) - STFT(decoded(S'))|_1, 2048 points, hop 512
  double complement_stft = 1;  // the same for S''
  double decoded_sources = 0;  // energy of the error of each decoded source, normalised, windows of 1 s
  double decoded_mixture = 0;  // error of the sum of all decoded sources relative to the mixture, in dB / 10
  double separation = 0;       // as decoded_sources, of the mask estimates (masks only)
  double commitment = 0;       // mean square of latent minus quantized (residual only)
  double envelope = 0;  // dB by which levels in the bands of noise differ, with noise_cost; so codes tell of them
  // Of the sound phase alone, in which the terms above but commitment, separation and envelope count too, of what is
  // decoded with its noise. Judged is the sum of S', or, of half the items, of all sources.
  double adversarial = 0;       // hinge loss of what a discriminator takes for decoded
  double feature_matching = 0;  // difference of the discriminator's features, relative to those of the target
  double mel = 0;               // mel distance of the waveforms, as eval/distances.h
  // One per source, or none for 1 each: in "separation" and "decoded_sources" an error in a bin weighs by whose energy
  // the bin holds. With a weight above 1 a source gets what is in doubt: what it lacks costs more than what leaks into it.
  std::vector<double> source_weights{};
};

struct TrainConfig {
  uint64_t seed = 1;
  int batch_size = 8;     // items a step, 1..4096
  int crop_frames = 172;  // frames an item, 8..8192
  // Steps, in this order. `separation_steps` train the masks alone on separation; then the analysis is set to the KLT
  // and the codebooks to k-means; `unquantized_steps` train all without quantizer; `joint_steps` train all but the
  // noise; `noise_steps` train the noise alone; `sound_steps` train the decoder with its noise against a discriminator,
  // while all that codes depend on stays as it is.
  int64_t separation_steps = 0;
  int64_t unquantized_steps = 0;
  int64_t joint_steps = 100000;
  int64_t noise_steps = 0;
  int64_t sound_steps = 0;
  int fit_items = 256;                     // items that KLT and k-means are fitted on, 1..100000
  int kmeans_iterations = 8;               // 1..100
  double envelope_scale = 2.5;             // of levels in latents, in units of a coefficient's level a neper (8.7 dB)
  double learning_rate = 1e-4;             // Adam, peak of the joint phase
  double separation_learning_rate = 1e-3;  // Adam, peak of the separation phase
  double noise_learning_rate = 1e-3;       // Adam, peak of the noise phase
  double sound_learning_rate = 1e-4;       // Adam, peak of the sound phase
  double discriminator_learning_rate = 3e-4;  // Adam, at the begin of the sound phase
  int discriminator_width = 16;               // channels of its layers, 1..1024
  int judged_frames = 0;  // of each item, at a drawn place, are judged in the sound phase; 0 = all of crop_frames
  // Of a drawn smooth curve over the spectrum of each source of each item: root mean square over frequencies; 0 = none.
  double equalizer_deviation_db = 0;
  double noise_cost = 10;                    // dB of spectral envelope that a dB of SDR is worth to the noise
  double basis_learning_rate_ratio = 0.02;   // of the linear paths, whose entries are small
  double separator_learning_rate_ratio = 1;  // of the masks' network after its own phase; 0 = it stays as it is
  double decoder_learning_rate_ratio = 1;  // of synthesis and noise, but in the sound phase; 0 = they stay as they are
  double final_learning_rate_ratio = 1;    // learning rate at the end of a phase / peak (cosine); 1 = constant
  int warmup_steps = 0;                    // linear, at the start of each phase
  double gradient_clip = 1;                // largest norm of the gradient; 0 = off
  double subset_probability = 0.5;         // of each source to be in S'
  double nested_dropout = 0.5;  // probability that an item keeps only the first h codebooks, h uniform in 1..H
  // Moving average of codebook entries (residual); 1 = entries and costs stay as they are and keep their numbers, so that a
  // prior for them can go on.
  double codebook_decay = 0.99;
  // With code_costs: an entry costs its bits (by its share of use) times this times the mean energy that all codebooks
  // leave of a latent; of the envelope's codebook its own energy, in the envelope's dimensions. 0 = costs stay as they are.
  double rate_weight = 0;
  double envelope_rate_weight = 0;
  double dead_entry_share = 0.03;  // entries used less than this share of the mean are restarted (residual)
  double temperature_start = 1;    // Gumbel-softmax
  double temperature_end = 1;
  LossWeights loss;
  dataset::MixOptions mix;
  int64_t log_every = 20;  // steps
  int64_t validate_every = 1000;
  int64_t checkpoint_every = 500;
  double validation_seconds = 60;  // of each song set aside
};

struct Recipe {
  std::string name;  // of the file, without folder and extension
  ModelConfig model;
  TrainConfig training;
};

// The JSON of a recipe's file; `example` is a recipe to name when there is none. Throws Error(kIo) or Error(kBadFile).
nlohmann::json load_recipe_json(const std::string& path, const std::string& example);

// A recipe without "model" is for the network of `base`, such as that of a model that is trained on; without it for the
// default one. Throws Error(kIo) or Error(kBadFile).
Recipe load_recipe(const std::string& path, const ModelConfig* base = nullptr);
Recipe parse_recipe(const nlohmann::json& json, const std::string& name, const std::string& where,
                    const ModelConfig* base = nullptr);
nlohmann::json to_json(const Recipe& recipe);

}  // namespace vqcodec::vqvae::train
