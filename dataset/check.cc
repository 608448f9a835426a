#include "dataset/check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "audio/reader.h"
#include "base/error.h"
#include "base/progress.h"
#include "dataset/layout.h"
#include "dataset/pack.h"
#include "dataset/stems.h"
#include "runtime/fft.h"
#include "runtime/sha256.h"
#include "runtime/thread_pool.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr size_t kBlockFrames = 16384;
constexpr float kFullScale = 0.9999f;
constexpr int64_t kMinClippedRun = 3;    // two samples in a row at full scale happen in music that was only normalised
constexpr double kMaxDc = 0.00316;       // -50 dBFS
constexpr double kSilentPeak = 3.16e-5;  // -90 dBFS

// The fingerprint: after Haitsma and Kalker 2002, the signs of how the differences of neighbouring bands' energies change
// from one frame to the next. Levels cancel.
constexpr size_t kNumBands = 33;  // one more than bits
constexpr double kLowestHz = 60;
constexpr double kHighestHz = 5000;
constexpr double kHopSeconds = 0.186;
constexpr double kQuietFrame = 1e-4;  // of the loudest frame's energy: what is below is noise
constexpr size_t kMinFingerprintFrames = 12;
constexpr double kMaxBitErrors = 0.2;  // unlike audio differs in half of the bits
constexpr size_t kTrialFrames = 16;    // by which most pairs are told apart
constexpr double kMaxTrialErrors = 0.35;

struct Fingerprint {
  std::vector<uint32_t> words;
  std::vector<bool> sounds;
  size_t num_sounding = 0;
};

class Fingerprinter {
 public:
  explicit Fingerprinter(int sample_rate_hz)
      : hop_(std::clamp<size_t>(std::bit_floor(static_cast<size_t>(kHopSeconds * sample_rate_hz)), 16, 65536)),
        mclt_(static_cast<int>(hop_)),
        window_{std::vector<float>(2 * hop_), std::vector<float>(2 * hop_)},
        mdct_(hop_),
        mdst_(hop_) {
    const double highest_hz = std::min(kHighestHz, 0.45 * sample_rate_hz);
    for (size_t b = 0; b <= kNumBands; ++b) {
      const double hz = kLowestHz * std::pow(highest_hz / kLowestHz, static_cast<double>(b) / kNumBands);
      edges_[b] = std::min(hop_, static_cast<size_t>(hz / sample_rate_hz * 2 * static_cast<double>(hop_)));
    }
  }

  void add(std::span<const float> interleaved) {
    for (size_t i = 0; i + 1 < interleaved.size(); i += 2) {
      window_[0][filled_] = interleaved[i];
      window_[1][filled_] = interleaved[i + 1];
      if (++filled_ == 2 * hop_) take_frame();
    }
  }

  Fingerprint finish() {
    Fingerprint print{std::move(words_), {}, 0};
    const double loudest = energies_.empty() ? 0 : *std::ranges::max_element(energies_);
    for (const double energy : energies_) {
      print.sounds.push_back(energy > kQuietFrame * loudest && loudest > 0);
      print.num_sounding += print.sounds.back();
    }
    return print;
  }

 private:
  void take_frame() {
    std::array<double, kNumBands> bands{};
    for (auto& channel : window_) {
      mclt_.forward(channel.data(), mdct_.data(), mdst_.data());
      for (size_t b = 0; b < kNumBands; ++b) {
        for (size_t k = edges_[b]; k < edges_[b + 1]; ++k) {
          bands[b] += static_cast<double>(mdct_[k]) * mdct_[k] + static_cast<double>(mdst_[k]) * mdst_[k];
        }
      }
      std::copy(channel.begin() + static_cast<std::ptrdiff_t>(hop_), channel.end(), channel.begin());
    }
    filled_ = hop_;
    uint32_t word = 0;
    double energy = bands[kNumBands - 1];
    for (size_t b = 0; b + 1 < kNumBands; ++b) {
      energy += bands[b];
      if (bands[b] - bands[b + 1] - (before_[b] - before_[b + 1]) > 0) word |= 1U << b;
    }
    before_ = bands;
    words_.push_back(word);
    energies_.push_back(energy);
  }

  size_t hop_;
  runtime::Mclt mclt_;
  std::array<std::vector<float>, 2> window_;  // [2 * hop_] a channel
  std::vector<float> mdct_, mdst_;            // [hop_]
  std::array<size_t, kNumBands + 1> edges_{};
  std::array<double, kNumBands> before_{};
  size_t filled_ = 0;
  std::vector<uint32_t> words_;
  std::vector<double> energies_;
};

// Share of the bits that differ, of at most `max_frames` frames in which one of both sounds; 1 when there are too few.
double bit_errors(const Fingerprint& a, const Fingerprint& b, size_t max_frames) {
  size_t num_frames = 0, num_errors = 0;
  const size_t end = std::max(a.words.size(), b.words.size());
  for (size_t i = 0; i < end && num_frames < max_frames; ++i) {
    const bool in_a = i < a.words.size() && a.sounds[i], in_b = i < b.words.size() && b.sounds[i];
    if (!in_a && !in_b) continue;
    ++num_frames;
    num_errors += in_a && in_b ? static_cast<size_t>(std::popcount(a.words[i] ^ b.words[i])) : 16;
  }
  if (num_frames < kMinFingerprintFrames) return 1;
  return static_cast<double>(num_errors) / (32 * static_cast<double>(num_frames));
}

std::string printed(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// Takes a file in, block by block.
class Measure {
 public:
  explicit Measure(int sample_rate_hz) : rate_hz_(sample_rate_hz), fingerprinter_(sample_rate_hz) {}

  void add(std::span<const float> interleaved, FileReport& report) {
    for (size_t channel = 0; channel < 2; ++channel) {
      for (size_t i = channel; i < interleaved.size(); i += 2) {
        const float value = interleaved[i];
        sum_[channel] += value;
        energy_ += static_cast<double>(value) * value;
        report.peak = std::max(report.peak, static_cast<double>(std::abs(value)));
        if (std::abs(value) >= kFullScale) {
          if (++run_[channel] == kMinClippedRun) {
            ++report.num_clipped_runs;
            report.num_clipped_samples += kMinClippedRun - 1;
            if (report.first_clipped_seconds < 0) {
              report.first_clipped_seconds =
                  static_cast<double>(report.num_frames + static_cast<int64_t>(i / 2)) / rate_hz_;
            }
          }
          if (run_[channel] >= kMinClippedRun) {
            ++report.num_clipped_samples;
            report.longest_clipped_run = std::max(report.longest_clipped_run, run_[channel]);
          }
        } else {
          run_[channel] = 0;
        }
      }
    }
    report.num_frames += static_cast<int64_t>(interleaved.size() / 2);
    fingerprinter_.add(interleaved);
    hashed_.resize(digest_.size() + interleaved.size_bytes());
    std::memcpy(hashed_.data(), digest_.data(), digest_.size());
    std::memcpy(hashed_.data() + digest_.size(), interleaved.data(), interleaved.size_bytes());
    digest_ = runtime::sha256(hashed_);
  }

  Fingerprint finish(FileReport& report) {
    const auto num_frames = static_cast<double>(std::max<int64_t>(1, report.num_frames));
    report.rms_db = 10 * std::log10(energy_ / (2 * num_frames));
    report.dc = (std::abs(sum_[0]) > std::abs(sum_[1]) ? sum_[0] : sum_[1]) / num_frames;
    report.content_hash = runtime::to_hex(digest_).substr(0, 32);
    return fingerprinter_.finish();
  }

 private:
  int rate_hz_;
  Fingerprinter fingerprinter_;
  std::array<double, 2> sum_{};
  std::array<int64_t, 2> run_{};
  double energy_ = 0;
  runtime::Sha256 digest_{};
  std::vector<std::byte> hashed_;
};

struct OpenFile {
  FileReport report;
  double gain = 1;
  // Fills interleaved stereo, gives the number of frames, 0 at the end, and keeps counts of the report; null at the end.
  std::function<size_t(FileReport&, std::span<float>)> read{};
  std::unique_ptr<Measure> measure{};
  const PackedStem* packed = nullptr;  // what the index of a packed set says
};

std::function<size_t(FileReport&, std::span<float>)> reader_of(std::shared_ptr<audio::AudioReader> reader) {
  return [reader = std::move(reader)](FileReport& report, std::span<float> block) {
    const size_t num_frames = reader->read(block);
    report.num_bad_samples = reader->num_bad_samples();
    report.num_damaged_packets = reader->num_damaged_packets();
    return num_frames;
  };
}

std::function<size_t(FileReport&, std::span<float>)> reader_of(std::shared_ptr<const PackedShard> shard, size_t song,
                                                               size_t source) {
  return [shard = std::move(shard), song, source, samples = std::vector<int16_t>()](FileReport& report,
                                                                                    std::span<float> block) mutable {
    const int64_t left = shard->songs()[song].num_frames - report.num_frames;
    const auto num_frames = static_cast<size_t>(std::min<int64_t>(left, static_cast<int64_t>(block.size() / 2)));
    samples.resize(2 * num_frames);
    shard->read(song, source, report.num_frames, samples);
    std::ranges::transform(samples, block.begin(),
                           [](int16_t sample) { return static_cast<float>(sample) / 32768.0f; });
    return num_frames;
  };
}

struct CheckedSong {
  SongReport report;
  std::vector<Fingerprint> fingerprints;  // per file
  std::vector<Finding> findings;
};

class SongCheck {
 public:
  SongCheck(SongFiles files, const Layout& layout, const CheckOptions& options)
      : SongCheck(std::move(files), options, layout.sum_tolerance_db()) {
    // With a source that was not asked for the sum is another.
    for (const std::string& group : layout.groups()) {
      has_all_ = has_all_ && std::ranges::find(options.sources, group) != options.sources.end();
    }
  }

  SongCheck(std::shared_ptr<const PackedShard> shard, size_t song, const CheckOptions& options)
      : SongCheck({.name = shard->songs()[song].name,
                   .split = shard->songs()[song].split,
                   .sources = {},
                   .mixture = {},
                   .missing = {},
                   .remarks = {}},
                  options, std::nullopt) {
    shard_ = std::move(shard);
    packed_song_ = song;
  }

  CheckedSong run() {
    for (const std::string& missing : files_.missing) {
      find(missing == "mixture" ? Severity::kWarning : Severity::kError, "missing",
           missing + " is not there; " + (missing == "mixture" ? "not needed" : "taken as silence"));
    }
    for (const std::string& remark : files_.remarks) find(Severity::kWarning, "missing", remark);
    for (size_t s = 0; s < options_.sources.size(); ++s) {
      first_of_source_.push_back(open_files_.size());
      if (shard_) {
        open_packed(options_.sources[s]);
      } else {
        for (const AudioFile& file : files_.sources[s]) open(file, options_.sources[s]);
      }
    }
    first_of_source_.push_back(open_files_.size());
    for (const AudioFile& file : files_.mixture) open(file, "mixture");
    read();
    judge();
    return std::move(song_);
  }

 private:
  SongCheck(SongFiles files, const CheckOptions& options, std::optional<double> tolerance_db)
      : files_(std::move(files)),
        options_(options),
        tolerance_db_(options.sum_tolerance_db ? options.sum_tolerance_db : tolerance_db) {
    song_.report.name = files_.name;
    song_.report.split = files_.split;
    song_.report.has_bleed = files_.has_bleed;
    label_ = (files_.split.empty() ? "" : files_.split + "/") + files_.name;
  }

  void find(Severity severity, const std::string& kind, const std::string& text) {
    song_.findings.push_back({severity, kind, label_, text});
  }

  static std::string place(const FileReport& file) {
    return file.path + (file.stream_index > 0 ? " stream " + std::to_string(file.stream_index) : "");
  }

  void open(const AudioFile& file, const std::string& source) {
    OpenFile& open = open_files_.emplace_back();
    open.gain = file.gain;
    open.report.path = file.path;
    open.report.stream_index = file.stream_index;
    open.report.source = source;
    try {
      std::shared_ptr<audio::AudioReader> reader = open_audio(file, 0);
      const audio::AudioInfo info = reader->info();
      open.report.format = info.format;
      open.report.sample_rate_hz = info.source_sample_rate_hz;
      open.report.num_channels = info.source_num_channels;
      int& rate_hz = song_.report.sample_rate_hz;
      if (rate_hz == 0) rate_hz = info.source_sample_rate_hz;
      if (info.source_sample_rate_hz != rate_hz) {
        reader = open_audio(file, rate_hz);
        find(Severity::kWarning, "sample_rate",
             place(open.report) + ": " + std::to_string(info.source_sample_rate_hz) + " Hz, the song's first file " +
                 std::to_string(rate_hz) + " Hz; resampled");
      }
      open.measure = std::make_unique<Measure>(rate_hz);
      open.read = reader_of(std::move(reader));
    } catch (const Error& error) {
      fail(open, error);
    }
  }

  // A source of a packed set, if it is not silent there.
  void open_packed(const std::string& source) {
    song_.report.sample_rate_hz = shard_->sample_rate_hz();
    const auto found = std::ranges::find(shard_->sources(), source);
    if (found == shard_->sources().end()) return;
    const auto index = static_cast<size_t>(found - shard_->sources().begin());
    const auto& stem = shard_->songs()[packed_song_].stems[index];
    if (!stem) return;
    OpenFile& open = open_files_.emplace_back();
    open.report.path = shard_->path() + ": " + label_ + ": " + source;
    open.report.source = source;
    open.report.format = "packed " + to_string(shard_->encoding());
    open.report.sample_rate_hz = shard_->sample_rate_hz();
    open.report.num_channels = 2;
    open.measure = std::make_unique<Measure>(shard_->sample_rate_hz());
    open.packed = &*stem;
    open.read = reader_of(shard_, packed_song_, index);
  }

  void fail(OpenFile& open, const Error& error) {
    open.report.error = error.what();
    open.read = nullptr;
    find(Severity::kError, "unreadable", open.report.error);
  }

  // The next block of a file, measured; the number of frames, 0 at the end.
  size_t next(OpenFile& open, std::span<float> block) {
    if (!open.read) return 0;
    try {
      const size_t num_frames = open.read(open.report, block);
      if (num_frames == 0) {
        open.read = nullptr;
        return 0;
      }
      open.measure->add(block.first(2 * num_frames), open.report);
      return num_frames;
    } catch (const Error& error) {
      fail(open, error);
      return 0;
    }
  }

  void read() {
    const size_t num_sources = options_.sources.size();
    std::vector<float> part(2 * kBlockFrames), source_sum(part.size()), sum(part.size()), mixture(part.size());
    std::vector<double> second_energy(num_sources, 0.0);
    song_.report.seconds_sounding.assign(num_sources, 0.0);
    const int rate_hz = song_.report.sample_rate_hz;
    const int64_t max_frames =
        options_.max_seconds > 0 ? static_cast<int64_t>(options_.max_seconds * rate_hz) : INT64_MAX / 4;
    double mixture_energy = 0, residual = 0;
    int64_t at = 0;
    const auto read_files = [&](size_t begin, size_t end, std::span<float> out) {
      std::ranges::fill(out, 0.0f);
      size_t longest = 0;
      for (size_t f = begin; f < end; ++f) {
        const std::span<float> block = std::span(part).first(out.size());
        const size_t num_frames = next(open_files_[f], block);
        const auto gain = static_cast<float>(open_files_[f].gain);
        for (size_t i = 0; i < 2 * num_frames; ++i) out[i] += gain * block[i];
        longest = std::max(longest, num_frames);
      }
      return longest;
    };
    while (rate_hz > 0 && at < max_frames) {
      const size_t num_samples = 2 * static_cast<size_t>(std::min<int64_t>(kBlockFrames, max_frames - at));
      std::ranges::fill(sum, 0.0f);
      size_t longest = 0;
      for (size_t s = 0; s < num_sources; ++s) {
        const auto out = std::span(source_sum).first(num_samples);
        const size_t num_frames = read_files(first_of_source_[s], first_of_source_[s + 1], out);
        longest = std::max(longest, num_frames);
        for (size_t t = 0; t < num_frames; ++t) {
          const double left = out[2 * t], right = out[2 * t + 1];
          sum[2 * t] += out[2 * t];
          sum[2 * t + 1] += out[2 * t + 1];
          second_energy[s] += left * left + right * right;
          if ((at + static_cast<int64_t>(t) + 1) % rate_hz == 0) {
            song_.report.seconds_sounding[s] += std::sqrt(second_energy[s] / (2.0 * rate_hz)) > kActiveRms;
            second_energy[s] = 0;
          }
        }
      }
      const auto out = std::span(mixture).first(num_samples);
      longest = std::max(longest, read_files(first_of_source_.back(), open_files_.size(), out));
      if (longest == 0) break;
      for (size_t i = 0; i < 2 * longest; ++i) {
        const double difference = static_cast<double>(out[i]) - sum[i];
        mixture_energy += static_cast<double>(out[i]) * out[i];
        residual += difference * difference;
      }
      at += static_cast<int64_t>(longest);
    }
    song_.report.num_frames = at;
    const bool all_read = std::ranges::all_of(open_files_, [](const OpenFile& f) { return f.report.error.empty(); });
    if (has_all_ && all_read && mixture_energy > 0) {
      song_.report.residual_db = 10 * std::log10(std::max(residual / mixture_energy, 1e-20));
    }
  }

  void judge() {
    for (OpenFile& open : open_files_) {
      FileReport& file = open.report;
      song_.fingerprints.push_back(open.measure ? open.measure->finish(file) : Fingerprint{});
      judge_file(file);
      if (open.packed != nullptr && file.error.empty() && options_.max_seconds == 0) judge_index(file, *open.packed);
      song_.report.files.push_back(std::move(file));
    }
    const double rate_hz = song_.report.sample_rate_hz;
    int64_t shortest = song_.report.num_frames;
    const FileReport* shortest_file = nullptr;
    for (const FileReport& file : song_.report.files) {
      if (!file.error.empty() || file.num_frames >= shortest) continue;
      shortest = file.num_frames;
      shortest_file = &file;
    }
    if (shortest_file != nullptr) {
      const int64_t difference = song_.report.num_frames - shortest;
      const double seconds = static_cast<double>(difference) / rate_hz;
      find(seconds > options_.max_length_difference_seconds ? Severity::kError : Severity::kWarning, "length",
           "files differ in length by " + std::to_string(difference) + " samples (" + printed("%.3f", seconds) +
               " s); the shortest is " + place(*shortest_file) + "; padded with silence");
    }
    if (song_.report.residual_db && tolerance_db_ && *song_.report.residual_db > *tolerance_db_) {
      find(Severity::kError, "sum",
           "the mixture and the sum of the sources differ by " + printed("%.1f", *song_.report.residual_db) +
               " dB relative to the mixture, expected at most " + printed("%.1f", *tolerance_db_) +
               " dB; training uses the sources");
    }
  }

  void judge_file(const FileReport& file) {
    if (!file.error.empty() && file.num_frames == 0) return;
    const std::string at = place(file) + ": ";
    if (file.num_damaged_packets > 0) {
      find(Severity::kError, "damaged", at + std::to_string(file.num_damaged_packets) + " parts do not decode");
    }
    if (file.num_bad_samples > 0) {
      find(Severity::kError, "not_finite",
           at + std::to_string(file.num_bad_samples) + " samples are no numbers; taken as 0");
    }
    if (file.num_frames == 0) {
      find(Severity::kError, "empty", at + "no audio");
      return;
    }
    if (file.peak < kSilentPeak) {
      find(Severity::kWarning, "silence",
           at + "silent throughout (peak " + printed("%.0f", std::max(-200.0, 20 * std::log10(file.peak))) + " dBFS)");
    }
    if (file.num_clipped_runs > 0) {
      find(Severity::kWarning, "clipping",
           at + std::to_string(file.num_clipped_runs) + " runs of " + std::to_string(kMinClippedRun) +
               " or more samples at full scale, " + std::to_string(file.num_clipped_samples) +
               " samples, the longest " + std::to_string(file.longest_clipped_run) + ", the first at " +
               printed("%.3f", file.first_clipped_seconds) + " s");
    }
    if (std::abs(file.dc) > kMaxDc) {
      find(Severity::kWarning, "dc", at + "mean " + printed("%.4f", file.dc) + " of full scale, expected 0");
    }
  }

  // Of a packed stem: what the index says of it must be what it is. Opus changes levels a little.
  void judge_index(const FileReport& file, const PackedStem& stem) {
    const bool exact = shard_->encoding() != PackEncoding::kOpus;
    const double tolerance_db = exact ? 0.01 : 1.0;
    if (std::abs(file.rms_db - stem.rms_db) > tolerance_db ||
        (exact && std::abs(20 * std::log10(file.peak) - stem.peak_db) > tolerance_db)) {
      find(Severity::kError, "index",
           place(file) + ": the index says " + printed("%.2f", stem.rms_db) + " dB (peak " +
               printed("%.2f", stem.peak_db) + "), found " + printed("%.2f", file.rms_db) + " (peak " +
               printed("%.2f", 20 * std::log10(file.peak)) + "); pack the set again");
    }
    const auto source = std::ranges::find(options_.sources, file.source) - options_.sources.begin();
    const double sounding = song_.report.seconds_sounding[static_cast<size_t>(source)];
    const auto indexed = static_cast<double>(stem.active_frames.size());
    if (exact && sounding != indexed) {
      find(Severity::kError, "index",
           place(file) + ": the index says that it sounds for " + printed("%.0f", indexed) + " s, found " +
               printed("%.0f", sounding) + "; pack the set again");
    }
  }

  SongFiles files_;
  const CheckOptions& options_;
  std::optional<double> tolerance_db_;
  bool has_all_ = true;
  std::string label_;
  CheckedSong song_;
  std::vector<OpenFile> open_files_;
  std::vector<size_t> first_of_source_;       // index into open_files_; one more than sources
  std::shared_ptr<const PackedShard> shard_;  // null = the song's files
  size_t packed_song_ = 0;
};

void find_duplicates(const std::vector<CheckedSong>& songs, std::vector<Finding>& findings) {
  struct File {
    const FileReport* report;
    const Fingerprint* print;
    std::string label;
  };
  std::vector<File> files;
  for (const CheckedSong& song : songs) {
    for (size_t f = 0; f < song.report.files.size(); ++f) {
      const FileReport& file = song.report.files[f];
      if (file.source == "mixture" || file.num_frames == 0 || file.peak < kSilentPeak) continue;
      files.push_back({&file, &song.fingerprints[f],
                       file.path + (file.stream_index > 0 ? " stream " + std::to_string(file.stream_index) : "")});
    }
  }
  std::map<std::string, const File*> by_hash;
  std::vector<const File*> distinct;
  for (const File& file : files) {
    const auto [first, is_new] = by_hash.emplace(file.report->content_hash, &file);
    if (is_new) {
      distinct.push_back(&file);
    } else {
      findings.push_back({Severity::kError, "duplicate", "",
                          file.label + " is the same audio as " + first->second->label + ", sample for sample"});
    }
  }
  for (size_t a = 0; a < distinct.size(); ++a) {
    if (distinct[a]->print->num_sounding < kMinFingerprintFrames) continue;
    for (size_t b = a + 1; b < distinct.size(); ++b) {
      const Fingerprint &one = *distinct[a]->print, &other = *distinct[b]->print;
      if (bit_errors(one, other, kTrialFrames) > kMaxTrialErrors) continue;
      const double errors = bit_errors(one, other, SIZE_MAX);
      if (errors > kMaxBitErrors) continue;
      findings.push_back({Severity::kWarning, "duplicate", "",
                          distinct[b]->label + " sounds like " + distinct[a]->label + ": " +
                              printed("%.1f", 100 * errors) +
                              " % of their fingerprints' bits differ, of unlike audio 50"});
    }
  }
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<std::string> tab_separated(std::string line) {
  if (line.ends_with('\r')) line.pop_back();
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == '\t') {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

class LicenceCheck {
 public:
  LicenceCheck(const std::string& root, SetReport& report) : report_(report) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      paths.push_back(it->path());
    }
    std::ranges::sort(paths);
    for (const fs::path& path : paths) {
      const std::string name = lower(path.filename().string());
      std::error_code ignored;
      const bool is_folder = fs::is_directory(path, ignored);
      if (is_folder && (name == "licenses" || name == "licences")) {
        add(path, "a folder of texts");
      } else if (is_folder) {
        continue;
      } else if (name == "licence.json" || name == "license.json") {
        read_json(path);
      } else if (name == "sources.tsv") {
        read_table(path);
      } else if (name.starts_with("licence") || name.starts_with("license") || name.starts_with("copying")) {
        read_text(path);
      }
    }
    if (report.licences.empty()) {
      warn("the set tells no licence: no LICENSE, licence.json or sources.tsv in " + root +
           (report.publisher_licence.empty() ? "" : "; its publisher says: " + report.publisher_licence));
    }
  }

 private:
  void add(const fs::path& path, const std::string& text) {
    report_.licences.push_back(path.filename().string() + ": " + text);
  }
  void warn(const std::string& text) { report_.findings.push_back({Severity::kWarning, "licence", "", text}); }
  void fail(const fs::path& path, const std::string& text) {
    report_.findings.push_back({Severity::kError, "licence", "", path.string() + ": " + text});
    add(path, "cannot be read");
  }

  void read_text(const fs::path& path) {
    std::ifstream in(path);
    std::string line;
    while (std::getline(in, line)) {
      const size_t begin = line.find_first_not_of(" \t\r#*");
      if (begin == std::string::npos) continue;
      add(path, line.substr(begin, 80));
      return;
    }
    fail(path, "is empty");
  }

  void read_json(const fs::path& path) {
    std::ifstream in(path);
    const auto document = nlohmann::json::parse(in, nullptr, false);
    if (document.is_object()) {
      for (const char* key : {"licence", "license"}) {
        const auto found = document.find(key);
        if (found == document.end() || !found->is_string() || found->get<std::string>().empty()) continue;
        add(path, found->get<std::string>().substr(0, 80));
        return;
      }
    }
    fail(path, R"(expected a JSON object with a text under "licence")");
  }

  void read_table(const fs::path& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    const auto header = tab_separated(lower(line));
    auto column = std::ranges::find(header, "licence");
    if (column == header.end()) column = std::ranges::find(header, "license");
    if (column == header.end()) {
      fail(path, "line 1 names no column licence; expected names of columns with tabs between them");
      return;
    }
    std::map<std::string, size_t> counts;
    for (size_t number = 2; std::getline(in, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const auto cells = tab_separated(line);
      const auto index = static_cast<size_t>(column - header.begin());
      if (index < cells.size() && !cells[index].empty()) {
        ++counts[cells[index]];
      } else {
        warn(path.string() + ": line " + std::to_string(number) + ": no licence");
      }
    }
    std::string text;
    for (const auto& [licence, count] : counts) {
      text += (text.empty() ? "" : ", ") + licence + " (" + std::to_string(count) + ")";
    }
    add(path, text.empty() ? "no row" : text);
  }

  SetReport& report_;
};

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double seconds_of(const SongReport& song) {
  return song.sample_rate_hz == 0 ? 0 : static_cast<double>(song.num_frames) / song.sample_rate_hz;
}

// For a table: what a terminal shows of a text in UTF-8, at most `width` characters.
std::string padded(const std::string& text, size_t width) {
  std::string out;
  size_t num_characters = 0;
  for (const char c : text) {
    const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts && num_characters == width) break;
    num_characters += starts;
    out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return out + std::string(width - num_characters, ' ');
}

}  // namespace

size_t SetReport::num_errors() const {
  return static_cast<size_t>(
      std::ranges::count_if(findings, [](const Finding& f) { return f.severity == Severity::kError; }));
}

namespace {

// Checks every song, `check(i)`, and what concerns more than one.
template <class Check>
void check_songs(size_t num_songs, const CheckOptions& options, SetReport& report, Check&& check) {
  runtime::ThreadPool pool(options.num_threads);
  std::vector<CheckedSong> songs(num_songs);
  std::mutex mutex;
  size_t num_done = 0;
  pool.parallel_for(static_cast<int64_t>(num_songs), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      songs[i] = check(i);
      const std::scoped_lock lock(mutex);
      ++num_done;
      if (options.on_progress) options.on_progress(num_done, num_songs);
    }
  });
  std::map<std::string, std::set<std::string>> splits_of;
  size_t num_bleeding = 0;
  std::vector<double> seconds(options.sources.size(), 0.0);
  for (const CheckedSong& song : songs) {
    report.findings.insert(report.findings.end(), song.findings.begin(), song.findings.end());
    splits_of[song.report.name].insert(song.report.split);
    num_bleeding += song.report.has_bleed;
    for (size_t s = 0; s < seconds.size(); ++s) seconds[s] += song.report.seconds_sounding[s];
  }
  find_duplicates(songs, report.findings);
  for (const auto& [name, splits] : splits_of) {
    if (splits.size() == 1) continue;
    report.findings.push_back({Severity::kWarning, "name", name, "songs of this name are in several splits"});
  }
  if (num_bleeding > 0) {
    report.findings.push_back({Severity::kWarning, "bleed", "",
                               std::to_string(num_bleeding) + " of " + std::to_string(songs.size()) +
                                   " songs have other sources in their stems, by their metadata"});
  }
  for (size_t s = 0; s < seconds.size(); ++s) {
    if (seconds[s] > 0) continue;
    report.findings.push_back({Severity::kWarning, "silence", "", options.sources[s] + " sounds in no song"});
  }
  for (CheckedSong& song : songs) report.songs.push_back(std::move(song.report));
}

SetReport check_packed_set(const std::string& root, const CheckOptions& options) {
  if (!options.layout.empty()) {
    throw Error(ExitCode::kUsage, root + ": is a packed set, which has no layout; found layout " + options.layout);
  }
  SetReport report{.root = root,
                   .layout = "packed",
                   .sources = options.sources,
                   .publisher_licence = {},
                   .licences = {},
                   .songs = {},
                   .findings = {}};
  const auto fail = [&](const std::string& kind, const std::string& text) {
    report.findings.push_back({Severity::kError, kind, "", text});
  };
  std::vector<std::shared_ptr<const PackedShard>> shards;
  for (const std::string& path : list_shards(root)) {
    try {
      shards.push_back(PackedShard::open(path));
    } catch (const Error& error) {
      fail("unreadable", error.what());
    }
  }
  struct Place {
    std::shared_ptr<const PackedShard> shard;
    size_t song;
  };
  std::vector<Place> songs;
  std::set<std::string> splits;
  std::set<size_t> numbers;
  std::map<std::string, size_t> licences;
  size_t num_without_licence = 0;
  for (const auto& shard : shards) {
    if (shard->set() != shards[0]->set() || shard->num_shards() != shards[0]->num_shards() ||
        !numbers.insert(shard->shard()).second) {
      fail("metadata", shard->path() + ": is shard " + std::to_string(shard->shard()) + " of another set than " +
                           shards[0]->path() + ", or one twice");
    }
    for (size_t i = 0; i < shard->songs().size(); ++i) {
      const PackedSong& song = shard->songs()[i];
      splits.insert(song.split);
      if (!options.splits.empty() && std::ranges::find(options.splits, song.split) == options.splits.end()) continue;
      songs.push_back({shard, i});
      song.facts.licence.empty() ? ++num_without_licence : ++licences[song.facts.licence];
    }
  }
  if (!shards.empty() && shards.size() != shards[0]->num_shards()) {
    fail("missing", root + ": " + std::to_string(shards.size()) + " of " + std::to_string(shards[0]->num_shards()) +
                        " shards can be read; pack the set again to complete it");
  }
  for (const std::string& split : options.splits) {
    if (splits.contains(split)) continue;
    throw Error(ExitCode::kUsage, root + ": no song in split \"" + split + "\"");
  }
  for (const auto& [licence, count] : licences) {
    report.licences.push_back("index: " + licence + " (" + std::to_string(count) + " songs)");
  }
  if (num_without_licence > 0) {
    report.findings.push_back({Severity::kWarning, "licence", "",
                               std::to_string(num_without_licence) + " of " + std::to_string(songs.size()) +
                                   " songs tell no licence; pack them with --licence"});
  }
  check_songs(songs.size(), options, report,
              [&](size_t i) { return SongCheck(songs[i].shard, songs[i].song, options).run(); });
  return report;
}

SetReport check_folders(const std::string& root, const CheckOptions& options) {
  const Layout layout = choose_layout(options.layout, root, options.sources);
  const Listing listing = layout.list(root, options.sources);
  const std::vector<SongFiles> files = select_splits(listing, options.splits, root);
  if (files.empty() && listing.bad_songs.empty()) {
    throw Error(ExitCode::kBadFile,
                root + ": no song found; layout " + layout.name() + " expects " + layout.description());
  }
  SetReport report{.root = root,
                   .layout = layout.name(),
                   .sources = options.sources,
                   .publisher_licence = layout.licence(),
                   .licences = {},
                   .songs = {},
                   .findings = {}};
  for (const std::string& text : listing.bad_songs) report.findings.push_back({Severity::kError, "metadata", "", text});
  for (const std::string& text : listing.left_out) {
    report.findings.push_back({Severity::kWarning, "no_source", "", text});
  }
  check_songs(files.size(), options, report, [&](size_t i) { return SongCheck(files[i], layout, options).run(); });
  LicenceCheck(root, report);
  return report;
}

}  // namespace

SetReport check_set(const std::string& root, const CheckOptions& options) {
  SetReport report = is_packed_set(root) ? check_packed_set(root, options) : check_folders(root, options);
  std::ranges::stable_sort(report.findings, std::ranges::greater{}, &Finding::severity);
  return report;
}

Json to_json(const SetReport& report) {
  Json songs = Json::array();
  std::vector<double> totals(report.sources.size(), 0.0);
  double total_seconds = 0;
  for (const SongReport& song : report.songs) {
    Json files = Json::array();
    for (const FileReport& file : song.files) {
      Json entry = {{"path", file.path}, {"stream", file.stream_index}, {"source", file.source}};
      if (!file.error.empty()) entry["error"] = file.error;
      entry.update({{"format", file.format},
                    {"sample_rate_hz", file.sample_rate_hz},
                    {"num_channels", file.num_channels},
                    {"num_frames", file.num_frames},
                    {"peak", number_or_null(file.peak)},
                    {"rms_db", number_or_null(file.rms_db)},
                    {"dc", number_or_null(file.dc)},
                    {"clipped_runs", file.num_clipped_runs},
                    {"clipped_samples", file.num_clipped_samples},
                    {"longest_clipped_run", file.longest_clipped_run},
                    {"bad_samples", file.num_bad_samples},
                    {"damaged_packets", file.num_damaged_packets},
                    {"content_hash", file.content_hash}});
      files.push_back(std::move(entry));
    }
    Json sounding = Json::object();
    for (size_t s = 0; s < report.sources.size(); ++s) {
      sounding[report.sources[s]] = song.seconds_sounding[s];
      totals[s] += song.seconds_sounding[s];
    }
    total_seconds += seconds_of(song);
    songs.push_back({{"name", song.name},
                     {"split", song.split},
                     {"sample_rate_hz", song.sample_rate_hz},
                     {"num_frames", song.num_frames},
                     {"seconds", seconds_of(song)},
                     {"seconds_sounding", sounding},
                     {"residual_db", song.residual_db ? number_or_null(*song.residual_db) : Json(nullptr)},
                     {"has_bleed", song.has_bleed},
                     {"files", files}});
  }
  Json findings = Json::array();
  for (const Finding& finding : report.findings) {
    findings.push_back({{"severity", finding.severity == Severity::kError ? "error" : "warning"},
                        {"kind", finding.kind},
                        {"song", finding.song},
                        {"text", finding.text}});
  }
  Json sounding = Json::object();
  for (size_t s = 0; s < report.sources.size(); ++s) sounding[report.sources[s]] = totals[s];
  return {{"kind", "vqdata check"},
          {"root", report.root},
          {"layout", report.layout},
          {"publisher_licence", report.publisher_licence},
          {"licences", report.licences},
          {"num_songs", report.songs.size()},
          {"seconds", total_seconds},
          {"seconds_sounding", sounding},
          {"num_errors", report.num_errors()},
          {"num_warnings", report.findings.size() - report.num_errors()},
          {"findings", findings},
          {"songs", songs}};
}

std::string to_table(const SetReport& report) {
  size_t name_width = 5;
  for (const SongReport& song : report.songs) name_width = std::max(name_width, std::min<size_t>(song.name.size(), 40));
  std::ostringstream out;
  out << report.root << ", layout " << report.layout << '\n';
  for (const std::string& licence : report.licences) out << "licence: " << padded(licence, licence.size()) << '\n';
  out << '\n' << padded("song", name_width) << "  split       length    rate";
  const auto cell = [](const std::string& text, size_t width) {
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
  };
  for (const std::string& source : report.sources) out << "  " << cell(source, 8);
  out << "    sum dB\n";
  std::vector<double> totals(report.sources.size(), 0.0);
  double total_seconds = 0;
  const auto sounding = [&](const std::vector<double>& seconds) {
    for (size_t s = 0; s < seconds.size(); ++s) {
      out << "  " << cell(format_duration(seconds[s]), std::max<size_t>(8, report.sources[s].size()));
    }
  };
  for (const SongReport& song : report.songs) {
    out << padded(song.name, name_width) << "  " << padded(song.split.empty() ? "-" : song.split, 10) << "  "
        << cell(format_duration(seconds_of(song)), 6) << "  " << cell(std::to_string(song.sample_rate_hz), 6);
    sounding(song.seconds_sounding);
    out << "  " << cell(song.residual_db ? printed("%.1f", *song.residual_db) : "-", 8) << '\n';
    for (size_t s = 0; s < totals.size(); ++s) totals[s] += song.seconds_sounding[s];
    total_seconds += seconds_of(song);
  }
  out << padded("all", name_width) << "  " << padded("", 10) << "  " << cell(format_duration(total_seconds), 6) << "  "
      << padded("", 6);
  sounding(totals);
  out << "\n\nUnder the sources: time in which they sound, whole seconds over -50 dBFS; \"sum dB\": energy of the "
         "mixture "
         "less\nthe sources over the mixture's.\n";
  if (!report.findings.empty()) out << '\n';
  for (const Finding& finding : report.findings) {
    out << (finding.severity == Severity::kError ? "error   " : "warning ") << padded(finding.kind, 11) << ' '
        << (finding.song.empty() ? "" : finding.song + ": ") << finding.text << '\n';
  }
  out << '\n'
      << report.songs.size() << " songs, " << report.num_errors() << " errors, "
      << report.findings.size() - report.num_errors() << " warnings\n";
  return out.str();
}

}  // namespace vqcodec::dataset
