#include "vqvae/train/fit.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vqcodec::vqvae::train {

namespace {

constexpr int64_t kMaxFitRows = 65536;     // rows that k-means sees per source
constexpr int64_t kMaxCodebookDims = 6;    // of the first layer, for each codebook
constexpr double kNearestLogit = 4;        // logits fall by this per mean squared distance to the nearest centroid
constexpr double kRegressionRidge = 1e-3;  // share of the mean variance
constexpr double kDecoderRidge = 0.2;      // share of an entry's mean count

// Lloyd's iterations on rows [R, D]: entries [m, D] and how many rows are nearest to each [m].
std::pair<Tensor, Tensor> k_means(const Tensor& rows, int size, int iterations) {
  const auto random_rows = [&] {
    return rows.index_select(0, torch::randint(rows.size(0), {size}, torch::kInt64).to(rows.device()));
  };
  Tensor entries = random_rows(), counts;
  for (int i = 0; i < iterations; ++i) {
    const Tensor index = nearest_entries(rows, entries).to(rows.device());
    counts = torch::bincount(index, {}, size).to(torch::kFloat32);
    const Tensor sums = torch::zeros_like(entries).index_add_(0, index, rows);
    const Tensor fresh = random_rows();
    const Tensor empty = (counts < 0.5).unsqueeze(1);
    // Empty entries go to random rows, except in the last round, whose counts must belong to the entries.
    entries = torch::where(empty, i + 1 < iterations ? fresh : entries, sums / counts.unsqueeze(1).clamp_min(1));
  }
  return {entries, counts};
}

// Residual k-means of one source: sets its codebooks but those that are kept, from rows [R, D]. Returns counts [H, m].
Tensor fit_codebooks(NetworkImpl& network, int64_t source, Tensor rows, int iterations, const std::vector<bool>& kept) {
  const ModelConfig& model = network.config;
  std::vector<Tensor> all_counts;
  for (int64_t h = 0; h < model.num_codebooks; ++h) {
    Tensor entries = network.codebooks[source][h];
    if (!kept.empty() && kept[static_cast<size_t>(h)]) {
      all_counts.push_back(
          torch::bincount(nearest_entries(rows, entries), {}, model.codebook_size).to(rows.device(), torch::kFloat32));
    } else {
      const Tensor dims = network.dims_of_codebook(h);
      const auto [fitted, counts] = k_means(dims.defined() ? rows * dims : rows, model.codebook_size, iterations);
      entries.copy_(fitted);
      all_counts.push_back(counts);
    }
    rows = rows - entries.index_select(0, nearest_entries(rows, entries).to(rows.device()));
  }
  return torch::stack(all_counts);
}

// The `count` eigenvectors of the greatest eigenvalues of a symmetric matrix [n, n], greatest first: [n, count].
Tensor top_eigenvectors(const Tensor& matrix, int64_t count) {
  const auto [values, vectors] = torch::linalg_eigh(matrix.to(torch::kFloat64).cpu());
  return vectors.narrow(1, matrix.size(0) - count, count).flip(1).to(torch::kFloat32).to(matrix.device());
}

// At most kMaxFitRows of the rows, at random.
Tensor some_rows(const Tensor& rows) {
  if (rows.size(0) <= kMaxFitRows) return rows;
  return rows.index_select(0, torch::randperm(rows.size(0)).narrow(0, 0, kMaxFitRows).to(rows.device()));
}

}  // namespace

void fit_residual(NetworkImpl& network, const TrainConfig& training, const FitInput& input,
                  const std::vector<bool>& kept) {
  torch::NoGradGuard no_grad;
  network.eval();
  const ModelConfig& model = network.config;
  const torch::Device device = network.codebooks.device();
  const bool masks = model.encoder_kind == EncoderKind::kMasks;
  const int64_t num_sources = model.num_sources(), size = 2 * model.hop_samples;
  const bool spectrum = std::find(kept.begin(), kept.end(), true) == kept.end();
  const bool levels_kept =
      !kept.empty() && model.envelope_codebook >= 0 && kept[static_cast<size_t>(model.envelope_codebook)];
  const int64_t envelope_dim = levels_kept ? 0 : model.envelope_dim;  // to set
  const auto inputs = [&](int64_t index) {
    const Spectra spectra = input.draw(index);
    return std::pair{spectra.sources, network.separate(spectra.mdct, spectra.mdst)};
  };
  if (masks && (spectrum || envelope_dim > 0)) {
    input.on_log("fitting the KLT of " + std::to_string(input.num_batches * training.batch_size) + " items");
    Tensor covariance = torch::zeros({num_sources, size, size}, torch::TensorOptions().device(device));
    const int64_t num_levels = 2 * model.num_noise_bands();
    Tensor level_sums = torch::zeros({num_sources, num_levels}, covariance.options());
    Tensor level_products = torch::zeros({num_sources, num_levels, num_levels}, covariance.options());
    Tensor level_counts = torch::zeros({num_sources, 1}, covariance.options());
    for (int64_t i = 0; i < input.num_batches; ++i) {
      const auto [sources, estimates] = inputs(i);
      for (const Tensor& source : {sources, estimates}) {
        const Tensor level = source.square().mean({2, 3, 4}, true).sqrt();
        const Tensor normal = swap_mid_side(torch::where(level > 1e-4, source / level, torch::zeros_like(source)));
        const Tensor rows = normal.transpose(0, 1).flatten(1, 2).flatten(-2);  // [S, B T, 2N]
        if (spectrum) covariance.baddbmm_(rows.transpose(1, 2), rows);
        if (envelope_dim == 0) continue;
        const Tensor sounds = (level > 1e-4).to(torch::kFloat32).squeeze(-1).squeeze(-1);  // [B, S, 1]
        const Tensor levels = (network.band_levels(normal) * sounds.unsqueeze(-1)).transpose(0, 1).flatten(1, 2);
        level_sums += levels.sum(1);
        level_products.baddbmm_(levels.transpose(1, 2), levels);
        level_counts += sounds.sum(0) * static_cast<double>(normal.size(2));
      }
    }
    const int64_t dims = model.code_dim - model.envelope_dim;
    for (int64_t s = 0; s < num_sources; ++s) {
      if (spectrum) {
        const Tensor top = top_eigenvectors(covariance[s], dims);
        network.analysis_basis[s].zero_().narrow(0, 0, dims).copy_(top.t());
        network.synthesis_basis[s].zero_().narrow(1, 0, dims).copy_(top);
      }
      if (envelope_dim == 0) continue;
      const Tensor count = level_counts[s].clamp_min(1), mean = level_sums[s] / count;
      const Tensor basis =
          top_eigenvectors(level_products[s] / count - torch::outer(mean, mean), envelope_dim);  // [levels, E]
      const Tensor told = basis.t() * training.envelope_scale;
      network.envelope_basis[s].zero_().narrow(0, dims, envelope_dim).copy_(told);
      network.envelope_bias[s].zero_().narrow(0, dims, envelope_dim).copy_(-torch::mv(told, mean));
      network.noise_basis[s].zero_().narrow(1, dims, envelope_dim).copy_(basis / training.envelope_scale);
      network.noise_bias[s].copy_(mean);
    }
  }
  input.on_log("fitting the codebooks by k-means");
  std::vector<std::vector<Tensor>> rows(static_cast<size_t>(num_sources));
  for (int64_t i = 0; i < input.num_batches; ++i) {
    std::vector<Tensor> latents;
    if (masks) {
      const auto [sources, estimates] = inputs(i);
      for (const Tensor& source : {sources, estimates}) latents.push_back(network.analyse(source).latents);
    } else {
      const Spectra spectra = input.draw(i);
      latents.push_back(network.encode(spectra.mdct, spectra.mdst).latents);
    }
    for (const Tensor& latent : latents) {
      for (int64_t s = 0; s < num_sources; ++s) {
        const Tensor flat = latent.select(1, s).reshape({-1, model.code_dim});
        rows[static_cast<size_t>(s)].push_back(flat.index({flat.square().sum(1) > 0}));
      }
    }
  }
  const double rows_per_step = static_cast<double>(training.batch_size * training.crop_frames);
  for (int64_t s = 0; s < num_sources; ++s) {
    const Tensor all = some_rows(torch::cat(rows[static_cast<size_t>(s)]));
    if (all.size(0) < 1) {
      throw Error(ExitCode::kBadFile,
                  "source " + model.sources[static_cast<size_t>(s)] + " is silent in all the items drawn for fitting");
    }
    const Tensor counts = fit_codebooks(network, s, all, training.kmeans_iterations, kept);
    const Tensor per_step = counts.clamp_min(0.1) * (rows_per_step / static_cast<double>(all.size(0)));
    network.code_counts[s].copy_(per_step);
    network.code_sums[s].copy_(network.codebooks[s] * per_step.unsqueeze(-1));
  }
}

void fit_gumbel(NetworkImpl& network, const TrainConfig& training, const FitInput& input) {
  torch::NoGradGuard no_grad;
  network.eval();
  const ModelConfig& model = network.config;
  const torch::Device device = network.codebooks.device();
  const auto options = torch::TensorOptions().device(device);
  StackImpl& encoder = *network.encoder;
  const int64_t num_sources = model.num_sources(), num_codebooks = model.num_codebooks, size = model.codebook_size;
  const int64_t num_signed = 2 * model.num_code_bins, num_powers = model.encoder_in() - num_signed;
  const int64_t dims = std::min<int64_t>(
      {kMaxCodebookDims, model.encoder.width / 2 / (num_sources * num_codebooks), num_signed / num_codebooks});
  if (dims < 1) return;
  const int64_t source_dims = dims * num_codebooks;
  input.on_log("fitting the codes of " + std::to_string(input.num_batches * training.batch_size) + " items");

  // Directions: of the regression of each source's features on the mixture's, those of the greatest variance.
  Tensor covariance = torch::zeros({num_signed, num_signed}, options);
  Tensor cross = torch::zeros({num_sources, num_signed, num_signed}, options);
  for (int64_t i = 0; i < input.num_batches; ++i) {
    const Spectra spectra = input.draw(i);
    const Tensor mixture = network.analysis_features(swap_mid_side(spectra.mdct.transpose(1, 2))).flatten(0, 1);
    const Tensor sources =
        network.analysis_features(swap_mid_side(spectra.sources)).transpose(0, 1).flatten(1, 2);  // [S, B T, 2K]
    covariance.addmm_(mixture.t(), mixture);
    cross.add_(torch::matmul(mixture.t(), sources));
  }
  const Tensor ridge = torch::eye(num_signed, options) * (covariance.trace() * (kRegressionRidge / num_signed));
  const Tensor regression = torch::linalg_solve(covariance + ridge, cross);  // [S, 2K, 2K]
  Tensor in_weight = encoder.in_layer->weight;                               // [width, powers + 2K]
  for (int64_t s = 0; s < num_sources; ++s) {
    const Tensor predicted = torch::matmul(torch::matmul(regression[s].t(), covariance), regression[s]);
    Tensor directions = torch::matmul(regression[s], top_eigenvectors(predicted, source_dims)).t();  // [dims, 2K]
    const Tensor variances = (torch::matmul(directions, covariance) * directions).sum(1);
    directions = directions * torch::rsqrt(variances.mean() / (covariance.trace() / num_signed) + 1e-20);
    // Dealt out by their variance in turn, forwards and backwards, so that codebooks have like shares.
    for (int64_t d = 0; d < source_dims; ++d) {
      const int64_t round = d / num_codebooks, at = d % num_codebooks;
      const int64_t codebook = round % 2 == 0 ? at : num_codebooks - 1 - at;
      Tensor row = in_weight[s * source_dims + codebook * dims + round];
      row.zero_();
      row.narrow(0, num_powers, num_signed).copy_(directions[d]);
    }
  }
  encoder.in_layer->bias.narrow(0, 0, num_sources * source_dims).zero_();
  for (const auto& block : *encoder.blocks) {
    block->as<Block>()->down->weight.zero_();
    block->as<Block>()->down->bias.zero_();
  }

  // Centroids of what reaches the head.
  const auto head_inputs = [&](const Spectra& spectra) {
    const Tensor hidden = encoder.in_layer(network.encoder_features(spectra.mdct, spectra.mdst));
    return encoder.norm(hidden).flatten(0, 1).narrow(1, 0, num_sources * source_dims);
  };
  std::vector<Tensor> hidden;
  for (int64_t i = 0; i < input.num_batches; ++i) hidden.push_back(head_inputs(input.draw(i)));
  const Tensor rows = some_rows(torch::cat(hidden));
  hidden.clear();
  Tensor head_weight = encoder.head->weight, head_bias = encoder.head->bias;
  head_weight.zero_();
  for (int64_t group = 0; group < num_sources * num_codebooks; ++group) {
    const Tensor part = rows.narrow(1, group * dims, dims).contiguous();
    const Tensor centroids = k_means(part, static_cast<int>(size), training.kmeans_iterations).first;
    const Tensor rest = part - centroids.index_select(0, nearest_entries(part, centroids).to(device));
    const double slope = kNearestLogit / (rest.square().sum(1).mean().item<double>() + 1e-9);
    head_weight.narrow(0, group * size, size).narrow(1, group * dims, dims).copy_(centroids * (2 * slope));
    head_bias.narrow(0, group * size, size).copy_(centroids.square().sum(1) * -slope);
  }

  // The decoder: least squares from the codes, all codebooks at once, then each codebook's part in code_dim dimensions.
  const int64_t num_entries = num_codebooks * size, coefficients = 2 * model.hop_samples;
  Tensor together = torch::zeros({num_sources, num_entries, num_entries}, options);
  Tensor sums = torch::zeros({num_sources, num_entries, coefficients}, options);
  int64_t num_rows = 0;
  for (int64_t i = 0; i < input.num_batches; ++i) {
    const Spectra spectra = input.draw(i);
    const Tensor logits =
        torch::linear(head_inputs(spectra), head_weight.narrow(1, 0, num_sources * source_dims), head_bias);
    const Tensor codes = logits.view({-1, num_sources, num_codebooks, size}).argmax(-1);
    const Tensor targets = swap_mid_side(spectra.sources).transpose(0, 1).flatten(1, 2).flatten(-2);  // [S, B T, 2N]
    num_rows += codes.size(0);
    for (int64_t s = 0; s < num_sources; ++s) {
      for (int64_t h = 0; h < num_codebooks; ++h) {
        const Tensor index = codes.select(1, s).select(1, h);
        sums[s].narrow(0, h * size, size).index_add_(0, index, targets[s]);
        for (int64_t other = h; other < num_codebooks; ++other) {
          const Tensor pairs = torch::bincount(index * size + codes.select(1, s).select(1, other), {}, size * size)
                                   .view({size, size})
                                   .to(torch::kFloat32);
          together[s].narrow(0, h * size, size).narrow(1, other * size, size).add_(pairs);
          if (other > h) together[s].narrow(0, other * size, size).narrow(1, h * size, size).add_(pairs.t());
        }
      }
    }
  }
  const Tensor shrink =
      torch::eye(num_entries, options) * (kDecoderRidge * static_cast<double>(num_rows) / static_cast<double>(size));
  const int64_t rank = std::min<int64_t>({model.code_dim, size, coefficients});
  for (int64_t s = 0; s < num_sources; ++s) {
    const Tensor decoder = torch::linalg_solve(together[s] + shrink, sums[s]).view({num_codebooks, size, -1});
    for (int64_t h = 0; h < num_codebooks; ++h) {
      const Tensor entries = top_eigenvectors(torch::matmul(decoder[h], decoder[h].t()), rank);  // [m, rank]
      const double scale = std::sqrt(static_cast<double>(size));  // entries of about unit variance
      network.codebooks[s][h].zero_();
      network.codebooks[s][h].narrow(1, 0, rank).copy_(entries * scale);
      Tensor basis = network.synthesis_basis[s].narrow(1, h * model.code_dim, model.code_dim);
      basis.zero_();
      basis.narrow(1, 0, rank).copy_(torch::matmul(decoder[h].t(), entries) / scale);
    }
  }
}

}  // namespace vqcodec::vqvae::train
