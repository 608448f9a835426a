// What a VQ-VAE model is made of: the part of a recipe (configs/*.json) that a trained model carries in its
// metadata and that inference needs. Every field is validated; unknown keys are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace vqcodec::vqvae {

inline constexpr const char* kFormatName = "vqcodec-vqvae-1";  // "format" in the metadata of a model's file

// How mixture becomes latents.
enum class EncoderKind {
  kMasks,   // masks on the mixture's MDCT give one estimate per source, each of which is analysed to codes
  kDirect,  // one network from the mixture straight to the codes of all sources (Kim et al. 2021)
};

enum class QuantizerKind {
  kResidual,  // residual vector quantization: the sum of one entry of each codebook
  kGumbel,    // Gumbel-softmax: logits over each codebook, entries concatenated (Kim et al. 2021)
};

// A stack of ConvNeXt blocks on frames: depthwise convolution over time, layer norm, linear, GELU, linear, residual sum.
struct StackConfig {
  int width = 256;                         // channels, 8..4096
  int expansion = 2;                       // inner width = width * expansion, 1..8
  int kernel_frames = 7;                   // odd, 1..31
  std::vector<int> dilations = {1, 2, 4};  // one block each, every one in 1..64; at most 32 blocks
  // Frames on either side of a frame that its output depends on.
  int context_frames() const;
  bool operator==(const StackConfig&) const = default;
};

// A U-Net over frames and bands, each of whose levels joins neighbouring bands of the level before (Ronneberger et al. 2015;
// Jansson et al. 2017 for masks of music). All its convolutions see three frames.
struct UNetConfig {
  std::vector<int> channels = {32, 64, 128};  // of each level, 1..1024; 1 to 6 levels
  std::vector<int> strides = {2, 4, 4};  // bands that one of a level stands for, in those of the level before; 1..16
  int blocks = 1;                        // residual blocks of each level on the way down, and again on the way up, 1..8
  int num_levels() const { return static_cast<int>(channels.size()); }
  bool operator==(const UNetConfig&) const = default;
};

struct ModelConfig {
  int sample_rate_hz = 44100;  // 8000..192000
  int hop_samples = 1024;      // frame hop, power of two in 64..8192; a frame spans 2 * hop_samples
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};  // 1..16 names

  EncoderKind encoder_kind = EncoderKind::kMasks;
  // Bins of the mixture's spectrum that the encoder sees one by one; the bins above come in groups.
  int num_fine_bins = 256;  // 0..hop_samples
  int coarse_bins = 8;      // bins a group, divides hop_samples - num_fine_bins
  StackConfig encoder;  // the separator (masks) or the whole encoder (direct); with a U-Net what joins its lowest level
  std::optional<UNetConfig> unet;  // the separator around that stack, masks only; none = the stack is all of it

  int num_code_bins = 512;  // lowest bins that the analysis and synthesis networks see, 1..hop_samples
  StackConfig analysis;     // per source, from its estimate to latents (masks only)
  StackConfig synthesis;    // per source, from codes to its spectrum

  // Noise filling: a network says from the codes at which level noise stands, in each of noise_band_edges(), for what the
  // codes do not tell. None = no noise.
  std::optional<StackConfig> noise;
  int noise_begin_bin = 32;  // lowest bin with noise, 8..hop_samples - 8
  // Whether latents also tell of the levels in the bands of noise by a linear path (masks with residual codes only), and
  // how many of their code_dim dimensions are set to it before training; 0 = no such path, else below code_dim.
  int envelope_dim = 0;
  // The one codebook whose entries hold the envelope's dimensions and nothing else, while those of the others hold the rest;
  // -1 = every codebook holds all. Training keeps it so.
  int envelope_codebook = -1;

  QuantizerKind quantizer_kind = QuantizerKind::kResidual;
  int num_codebooks = 8;     // H, 1..32
  int codebook_size = 1024;  // m, 2..65536
  int code_dim = 64;         // residual: latent dimension; gumbel: dimension of each codebook's entries; 1..1024
  // Residual: entries have costs beside their distances, so that the encoder prefers those that are cheap to code
  // (entropy-constrained vector quantization, Chou, Lookabaugh and Gray 1989). Decoders need not know them.
  bool code_costs = false;

  int num_sources() const { return static_cast<int>(sources.size()); }
  int num_bands() const { return num_fine_bins + (hop_samples - num_fine_bins) / coarse_bins; }
  // Bands of level `level` of the U-Net, of which level -1 are those of the spectrum.
  int unet_bands(int level) const;
  // Per source and frame, what the encoder gives the quantizer: the latent, or the logits of all codebooks.
  int quantizer_in() const {
    return quantizer_kind == QuantizerKind::kResidual ? code_dim : num_codebooks * codebook_size;
  }
  // Per frame, what the encoder's network gets: log powers of the mixture for masks; to find codes by itself, and so the
  // waveform, also coefficients with their signs.
  int encoder_in() const { return 4 * num_bands() + (encoder_kind == EncoderKind::kDirect ? 2 * num_code_bins : 0); }
  // Per frame, what the encoder's network gives: logits of masks [sources, 2, bands], or all that the quantizer gets.
  int encoder_out() const {
    return num_sources() * (encoder_kind == EncoderKind::kMasks ? 2 * num_bands() : quantizer_in());
  }
  // Bins at which a band of noise begins, and hop_samples: each band is an eighth as wide as the bin it begins at, but at
  // least 8 bins. Empty without noise.
  std::vector<int> noise_band_edges() const;
  int num_noise_bands() const { return noise ? static_cast<int>(noise_band_edges().size()) - 1 : 0; }
  // Per source and frame, what the decoder gets: the sum of the entries, or the entries one after another.
  int quantizer_out() const { return quantizer_kind == QuantizerKind::kResidual ? code_dim : num_codebooks * code_dim; }

  bool operator==(const ModelConfig&) const = default;
};

// Throws Error(kBadFile) that names the key, what was found and what is allowed. `where` names the file in messages.
ModelConfig parse_model_config(const nlohmann::json& json, const std::string& where);
nlohmann::json to_json(const ModelConfig& config);

// Level of a source in a segment, coded as one index: 0 is silence, index i >= 1 a root mean square of
// 1.5 dB * i - 97.5 dB relative to full scale.
inline constexpr int kNumGains = 96;
inline constexpr int kUnitGain = 65;      // the index of 0 dB, used by models that do not normalise
int gain_index(double root_mean_square);  // nearest index; 0 below -96.75 dB
float gain_scale(int index);              // root mean square of the index; 0 for 0; index in [0, kNumGains)

// Reads fields of a JSON object, remembers which ones, and refuses the rest: the shared base of all config readers.
class FieldReader {
 public:
  FieldReader(const nlohmann::json& json, std::string where);
  ~FieldReader();
  FieldReader(const FieldReader&) = delete;
  FieldReader& operator=(const FieldReader&) = delete;

  // Each leaves `value` as it is when the key is absent.
  void integer(const char* key, int& value, int64_t minimum, int64_t maximum);
  void integer(const char* key, int64_t& value, int64_t minimum, int64_t maximum);
  void real(const char* key, double& value, double minimum, double maximum);
  void boolean(const char* key, bool& value);
  void text(const char* key, std::string& value);
  void choice(const char* key, int& value, const std::vector<std::string>& names);
  void integers(const char* key, std::vector<int>& value, int64_t minimum, int64_t maximum, size_t max_count);
  void texts(const char* key, std::vector<std::string>& value, size_t max_count);
  // 1 to 16 different names of 1 to 32 characters a-z 0-9 _ -; checked when the key is absent, too.
  void source_names(const char* key, std::vector<std::string>& value);
  // The object under `key`, an empty one when absent.
  const nlohmann::json& object(const char* key);
  // Refuses keys that no call above has read.
  void finish() const;
  [[noreturn]] void fail(const std::string& key, const std::string& found, const std::string& expected) const;

 private:
  const nlohmann::json* find(const char* key);
  const nlohmann::json& json_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace vqcodec::vqvae
