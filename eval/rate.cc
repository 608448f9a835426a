#include "eval/rate.h"

#include <zstd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "codec/vqc_format.h"
#include "codec/vqc_writer.h"
#include "eval/opus_codec.h"
#include "eval/svg_plot.h"
#include "prior/coder.h"

namespace vqcodec::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Distances kNoDistances{kNan, kNan, kNan, kNan};
constexpr uint64_t kPayloadHeadBytes = 3;  // gain and coder (codec/FORMAT.md, "Streams")
constexpr uint64_t kCrcBytes = 4;
constexpr uint64_t kSizeBytes = 4 + 4;  // of a stream, in its segment's head and in the index
constexpr int kZstdLevel = 19;
constexpr int kLeastStemBps = 5000;  // libopus takes this for speech-like coding however little is asked

struct Measure {
  const char* key;
  const char* title;
  const char* axis;
  const char* file;
  double Distances::*value;
};
constexpr Measure kMeasures[] = {
    {"mel", "Mel distance", "mel distance (less is better)", "rate_mel.svg", &Distances::mel},
    {"mel_two_scales", "Mel distance, two scales", "mel distance, two scales (less is better)",
     "rate_mel_two_scales.svg", &Distances::mel_two_scales},
    {"log_spectral_db", "Log-spectral distance", "log-spectral distance, dB (less is better)", "rate_log_spectral.svg",
     &Distances::log_spectral_db},
    {"si_sdr_db", "SI-SDR", "SI-SDR, dB (more is better)", "rate_si_sdr.svg", &Distances::si_sdr_db},
};

void take(const codec::Result<void>& result) {
  if (!result) throw Error(ExitCode::kInternal, "writing codes: " + result.error().message);
}

size_t zstd_bytes(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> compressed(ZSTD_compressBound(bytes.size()));
  const size_t size = ZSTD_compress(compressed.data(), compressed.size(), bytes.data(), bytes.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) throw Error(ExitCode::kInternal, std::string("zstd: ") + ZSTD_getErrorName(size));
  return size;
}

// The first code in the lowest bits of the first byte, as the raw coder of the format packs them.
class BitPacker {
 public:
  explicit BitPacker(uint32_t code_bits) : code_bits_(code_bits) {}
  void put(uint16_t code) {
    held_ |= uint64_t{code} << num_held_;
    for (num_held_ += code_bits_; num_held_ >= 8; num_held_ -= 8, held_ >>= 8) {
      bytes_.push_back(static_cast<uint8_t>(held_));
    }
  }
  const std::vector<uint8_t>& finish() {
    if (num_held_ > 0) bytes_.push_back(static_cast<uint8_t>(held_));
    held_ = num_held_ = 0;
    return bytes_;
  }

 private:
  uint32_t code_bits_, num_held_ = 0;
  uint64_t held_ = 0;
  std::vector<uint8_t> bytes_;
};

double kbit_per_second(double bytes, double seconds) { return seconds > 0 ? bytes * 8e-3 / seconds : kNan; }

bool is_silent(std::span<const float> signal) {
  return std::ranges::all_of(signal, [](float value) { return value == 0; });
}

}  // namespace

namespace {

codec::VqcWriter write_song(const CodedSong& song, std::string_view metadata_json, codec::WriterOptions options) {
  codec::MemorySink sink;
  auto writer = codec::VqcWriter::create(sink, song.info, metadata_json, std::move(options));
  if (!writer) throw Error(ExitCode::kInternal, "writing codes: " + writer.error().message);
  for (const auto& segment : song.segments) take(writer->write_segment(segment));
  take(writer->finish(song.info.num_samples));
  return std::move(writer).value();
}

}  // namespace

FileRate file_rate(const CodedSong& song, std::string_view metadata_json, runtime::ThreadPool& pool,
                   const std::shared_ptr<const prior::Model>& prior) {
  const codec::StreamInfo& info = song.info;
  const codec::VqcWriter writer = write_song(song, metadata_json, {});
  const codec::FileStats& stats = writer.stats();

  FileRate rate;
  rate.num_codebooks = info.num_codebooks;
  rate.num_frames = writer.num_frames();
  rate.header_bytes = stats.header_bytes;
  rate.metadata_bytes = stats.metadata_bytes;
  rate.segment_head_bytes = stats.segment_head_bytes;
  rate.index_bytes = stats.index_bytes;
  rate.file_bytes = stats.file_bytes;
  // A section has a CRC in its header and one at the end of its body, or of its head.
  const uint64_t num_sections = (stats.metadata_bytes > 0 ? 1 : 0) + song.segments.size() + 2;
  rate.checksum_bytes = kCrcBytes + 2 * kCrcBytes * num_sections;

  rate.sources.resize(info.sources.size());
  pool.parallel_for(static_cast<int64_t>(rate.sources.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto s = static_cast<size_t>(begin); s < static_cast<size_t>(end); ++s) {
      SourceRate& source = rate.sources[s];
      BitPacker packed(info.code_bits());
      std::vector<uint8_t> words;
      uint64_t num_codes = 0;
      for (const auto& segment : song.segments) {
        const codec::SourceSegment& stream = segment[s];
        source.checksum_bytes += codec::kStreamHeadBytes;
        if (stream.gain != 0) {
          source.gain_bytes += kPayloadHeadBytes;
        } else {
          source.num_silent_frames += stream.codes.size() / info.num_codebooks;
          source.silent_bytes += codec::kStreamHeadBytes + kSizeBytes;
        }
        num_codes += stream.codes.size();
        for (const uint16_t code : stream.codes) {
          packed.put(code);
          words.push_back(static_cast<uint8_t>(code));
          words.push_back(static_cast<uint8_t>(code >> 8));
        }
      }
      source.stream_bytes = stats.source_bytes[s];
      source.code_bytes = source.stream_bytes - source.checksum_bytes - source.gain_bytes;
      source.codebook_bits = writer.bits()[s].bits;
      source.raw_bytes = static_cast<double>(num_codes) * std::log2(info.codebook_size) / 8;
      source.zstd_packed_bytes = zstd_bytes(packed.finish());
      source.zstd_words_bytes = zstd_bytes(words);
    }
  });
  for (const SourceRate& source : rate.sources) rate.checksum_bytes += source.checksum_bytes;
  if (prior == nullptr) return rate;
  prior::Coder coder(prior, info, pool);
  for (const bool joint : {false, true}) {
    codec::WriterOptions options{.tools = {.predictor = &coder}};
    if (joint) options.source_order = prior::joint_order(*prior, info.sources);
    const codec::VqcWriter other = write_song(song, metadata_json, std::move(options));
    (joint ? rate.joint_file_bytes : rate.prior_file_bytes) = other.stats().file_bytes;
    for (size_t s = 0; s < rate.sources.size(); ++s) {
      SourceRate& source = rate.sources[s];
      (joint ? source.joint : source.prior) =
          PriorRate{other.stats().source_bytes[s] - source.checksum_bytes - source.gain_bytes, other.bits()[s].bits};
    }
  }
  return rate;
}

CodedSong keep_codebooks(const CodedSong& song, int num_codebooks) {
  const size_t all = song.info.num_codebooks;
  const auto kept = static_cast<size_t>(num_codebooks);
  if (num_codebooks < 1 || kept > all) {
    throw Error(ExitCode::kUsage, std::to_string(num_codebooks) + " codebooks: expected 1 to " + std::to_string(all));
  }
  CodedSong result = song;
  result.info.num_codebooks = static_cast<uint32_t>(kept);
  for (auto& segment : result.segments) {
    for (codec::SourceSegment& stream : segment) {
      const size_t num_frames = stream.codes.size() / all;
      for (size_t f = 0; f < num_frames; ++f) {
        for (size_t h = 0; h < kept; ++h) stream.codes[f * kept + h] = stream.codes[f * all + h];
      }
      stream.codes.resize(num_frames * kept);
    }
  }
  return result;
}

TrackRate measure_rate(const std::shared_ptr<const vqvae::Model>& model, const Track& track, const RateOptions& options,
                       runtime::ThreadPool& pool) {
  const std::vector<std::string>& sources = model->config().sources;
  const int rate_hz = track.sample_rate_hz;
  std::vector<int> levels = options.levels;
  if (levels.empty()) {
    for (int h = 1; h <= model->config().num_codebooks; ++h) levels.push_back(h);
  }
  constexpr int64_t kMinSamples = 1025;  // what the distances need
  if (track.num_frames < kMinSamples) {
    throw Error(ExitCode::kBadFile,
                std::to_string(track.num_frames) + " samples, expected " + std::to_string(kMinSamples) + " or more");
  }
  if (is_silent(track.mixture)) throw Error(ExitCode::kBadFile, "the mixture is silent");

  TrackRate result;
  result.name = track.name;
  result.seconds = static_cast<double>(track.num_frames) / rate_hz;
  result.remarks = track.remarks;
  std::vector<bool> measured(sources.size());
  bool any_measured = false, all_there = true;
  for (size_t s = 0; s < sources.size(); ++s) {
    all_there = all_there && !track.stems[s].empty();
    measured[s] = !track.stems[s].empty() && !is_silent(track.stems[s]);
    any_measured = any_measured || measured[s];
  }
  const auto source_distances = [&](const std::vector<std::vector<float>>& decoded) {
    std::vector<Distances> all;
    if (!any_measured) return all;
    for (size_t s = 0; s < sources.size(); ++s) {
      all.push_back(measured[s] ? distances(track.stems[s], decoded[s], rate_hz, pool) : kNoDistances);
    }
    return all;
  };
  std::vector<int> stems_bps;
  if (all_there) {
    for (const int bps : options.opus_bps) {
      stems_bps.push_back(std::max(bps, kLeastStemBps * static_cast<int>(sources.size())));
    }
    std::ranges::sort(stems_bps);
    stems_bps.erase(std::unique(stems_bps.begin(), stems_bps.end()), stems_bps.end());
  }
  const size_t num_steps = levels.size() + options.opus_bps.size() + stems_bps.size();
  size_t num_done = 0;
  const auto step_done = [&] {
    ++num_done;
    if (options.on_progress) options.on_progress(static_cast<double>(num_done) / static_cast<double>(num_steps));
  };

  const CodedSong song = encode_song(model, track.mixture, 0, pool);
  for (const int level : levels) {
    const CodedSong kept = keep_codebooks(song, level);
    result.files.push_back(file_rate(kept, options.metadata_json, pool, options.prior));
    const auto decoded = decode_sources(model, kept, pool);
    RatePoint point{level, result.files.back().file_bytes, 0, {}, {}};
    point.mixture = distances(track.mixture, sum_of(decoded), rate_hz, pool);
    point.sources = source_distances(decoded);
    result.levels.push_back(std::move(point));
    step_done();
  }
  // Of each signal what Opus makes of it, at `bps` bit/s; the sizes are added to the point's.
  const auto through_opus = [&](std::span<const std::vector<float>* const> signals, int bps, RatePoint& point) {
    std::vector<std::vector<float>> decoded(signals.size());
    std::vector<uint64_t> file_bytes(signals.size()), packet_bytes(signals.size());
    pool.parallel_for(static_cast<int64_t>(signals.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const OpusStream stream = encode_opus(*signals[i], rate_hz, bps);
        file_bytes[i] = ogg_opus_file(stream).size();
        packet_bytes[i] = static_cast<uint64_t>(stream.packet_bytes());
        decoded[i] = decode_opus(stream);
      }
    });
    for (size_t i = 0; i < signals.size(); ++i) {
      point.file_bytes += file_bytes[i];
      point.packet_bytes += packet_bytes[i];
    }
    return decoded;
  };
  for (const int bps : options.opus_bps) {
    RatePoint point{bps, 0, 0, {}, {}};
    const std::vector<float>* mixture = &track.mixture;
    const auto decoded = through_opus({&mixture, 1}, bps, point);
    point.mixture = distances(track.mixture, decoded[0], rate_hz, pool);
    result.opus.push_back(std::move(point));
    step_done();
  }
  if (!all_there) return result;
  std::vector<const std::vector<float>*> stems;
  for (const auto& stem : track.stems) stems.push_back(&stem);
  for (const int bps : stems_bps) {
    RatePoint point{bps, 0, 0, {}, {}};
    const auto decoded = through_opus(stems, bps / static_cast<int>(stems.size()), point);
    point.mixture = distances(track.mixture, sum_of(decoded), rate_hz, pool);
    point.sources = source_distances(decoded);
    result.opus_stems.push_back(std::move(point));
    step_done();
  }
  return result;
}

std::vector<LeftOutMeasure> drop_incomplete(TrackRate& track, const std::vector<std::string>& sources) {
  std::vector<LeftOutMeasure> left_out;
  std::vector<RatePoint*> points;
  for (auto* curve : {&track.levels, &track.opus, &track.opus_stems}) {
    for (RatePoint& point : *curve) points.push_back(&point);
  }
  // Of the mixture or of source s the distances of all points that have any.
  const auto check = [&](const std::string& source, const std::vector<Distances*>& all) {
    for (const Measure& measure : kMeasures) {
      const auto bad = [&](const Distances* d) { return !std::isfinite(d->*measure.value); };
      const auto num_bad = std::ranges::count_if(all, bad);
      if (num_bad == 0) continue;
      for (Distances* d : all) d->*measure.value = kNan;
      const std::string how_many = num_bad == std::ssize(all) ? "any" : std::to_string(num_bad);
      left_out.push_back({track.name, source, measure.key,
                          "no number at " + how_many + " of " + std::to_string(all.size()) +
                              " rates (what is decoded is "
                              "silent or holds nothing of the original)"});
    }
  };
  std::vector<Distances*> mixtures;
  for (RatePoint* point : points) mixtures.push_back(&point->mixture);
  check("", mixtures);
  for (size_t s = 0; s < sources.size(); ++s) {
    std::vector<Distances*> all;
    for (RatePoint* point : points) {
      if (!point->sources.empty()) all.push_back(&point->sources[s]);
    }
    const auto none = [](const Distances* d) {
      return std::isnan(d->mel) && std::isnan(d->mel_two_scales) && std::isnan(d->log_spectral_db) &&
             std::isnan(d->si_sdr_db);
    };
    if (all.empty() || std::ranges::all_of(all, none)) {
      left_out.push_back({track.name, sources[s], "", "no true source, or a silent one"});
    } else {
      check(sources[s], all);
    }
  }
  if (track.opus_stems.empty() && !track.opus.empty()) {
    left_out.push_back({track.name, "", "opus_stems", "not all true sources are there"});
  }
  return left_out;
}

double interpolate_log(std::span<const std::pair<double, double>> points, double x) {
  std::vector<std::pair<double, double>> sorted(points.begin(), points.end());
  std::ranges::sort(sorted);
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i].first == x) return sorted[i].second;
    if (i == 0 || sorted[i - 1].first > x || sorted[i].first < x) continue;
    const auto& [x0, y0] = sorted[i - 1];
    const auto& [x1, y1] = sorted[i];
    return y0 + (y1 - y0) * std::log(x / x0) / std::log(x1 / x0);
  }
  return kNan;
}

namespace {

Json distances_json(const Distances& d) {
  Json json;
  for (const Measure& measure : kMeasures) json[measure.key] = number_or_null(d.*measure.value);
  return json;
}

Json file_json(const FileRate& file, const std::vector<std::string>& names, double seconds) {
  Json sources = Json::array();
  for (size_t s = 0; s < names.size(); ++s) {
    const SourceRate& source = file.sources[s];
    Json codebooks = Json::array();
    for (const double bits : source.codebook_bits) {
      codebooks.push_back({{"bytes", bits / 8},
                           {"raw_bytes", source.raw_bytes / file.num_codebooks},
                           {"kbit_per_second", kbit_per_second(bits / 8, seconds)}});
    }
    const auto ideal_bytes = [](const std::vector<double>& bits) {
      double sum = 0;
      for (const double one : bits) sum += one / 8;
      return sum;
    };
    Json coders = {{"raw_bytes", source.raw_bytes},
                   {"adaptive_bytes", source.code_bytes},
                   {"zstd_packed_bytes", source.zstd_packed_bytes},
                   {"zstd_words_bytes", source.zstd_words_bytes}};
    Json ideal = {{"adaptive_bytes", ideal_bytes(source.codebook_bits)}};
    for (const auto& [name, prior] : {std::pair{"prior_bytes", &source.prior}, std::pair{"joint_bytes", &source.joint}}) {
      if (!*prior) continue;
      coders[name] = (*prior)->code_bytes;
      ideal[name] = ideal_bytes((*prior)->codebook_bits);
      for (size_t h = 0; h < codebooks.size(); ++h) codebooks[h][name] = (*prior)->codebook_bits[h] / 8;
    }
    const double silent_seconds = file.num_frames > 0 ? seconds * static_cast<double>(source.num_silent_frames) /
                                                            static_cast<double>(file.num_frames)
                                                      : 0;
    sources.push_back({{"name", names[s]},
                       {"bytes", source.stream_bytes},
                       {"kbit_per_second", kbit_per_second(static_cast<double>(source.stream_bytes), seconds)},
                       {"checksum_bytes", source.checksum_bytes},
                       {"gain_bytes", source.gain_bytes},
                       {"code_bytes", source.code_bytes},
                       // What each of the coders that there are makes of the codes.
                       {"coders", std::move(coders)},
                       // What the codes cost by the coder's own probabilities.
                       {"ideal", std::move(ideal)},
                       {"silent",
                        {{"seconds", silent_seconds},
                         {"bit_per_second",
                          number_or_null(1000 * kbit_per_second(static_cast<double>(source.silent_bytes),
                                                                silent_seconds))}}},
                       {"codebooks", std::move(codebooks)}});
  }
  Json json = {{"header_bytes", file.header_bytes},
               {"metadata_bytes", file.metadata_bytes},
               {"segment_head_bytes", file.segment_head_bytes},
               {"index_bytes", file.index_bytes},
               {"checksum_bytes", file.checksum_bytes},
               {"sources", std::move(sources)}};
  // Of the whole file instead.
  if (file.prior_file_bytes > 0) {
    json["prior_file_bytes"] = file.prior_file_bytes;
    json["joint_file_bytes"] = file.joint_file_bytes;
  }
  return json;
}

Json curve_json(const std::vector<RatePoint>& points, const std::vector<FileRate>& files,
                const std::vector<std::string>& names, double seconds) {
  Json curve = Json::array();
  for (size_t i = 0; i < points.size(); ++i) {
    const RatePoint& point = points[i];
    const bool ours = !files.empty();
    Json json = {{ours ? "num_codebooks" : "bitrate_bps", point.setting},
                 {"bytes", point.file_bytes},
                 {"kbit_per_second", number_or_null(kbit_per_second(static_cast<double>(point.file_bytes), seconds))}};
    if (ours) {
      json["file"] = file_json(files[i], names, seconds);
    } else {
      json["packet_bytes"] = point.packet_bytes;
    }
    json["mixture"] = distances_json(point.mixture);
    if (!point.sources.empty()) {
      json["sources"] = Json::array();
      for (size_t s = 0; s < names.size(); ++s) {
        Json source = {{"name", names[s]}};
        source.update(distances_json(point.sources[s]));
        json["sources"].push_back(std::move(source));
      }
    }
    curve.push_back(std::move(json));
  }
  return curve;
}

void add_curves(Json& json, const TrackRate& track, const std::vector<std::string>& names) {
  json["levels"] = curve_json(track.levels, track.files, names, track.seconds);
  json["opus"] = curve_json(track.opus, {}, names, track.seconds);
  json["opus_stems"] = curve_json(track.opus_stems, {}, names, track.seconds);
}

// Distances times seconds, and the seconds of those that are numbers.
struct Mean {
  Distances sum{}, seconds{};
  void add(const Distances& d, double track_seconds) {
    for (const Measure& measure : kMeasures) {
      if (!std::isfinite(d.*measure.value)) continue;
      sum.*measure.value += track_seconds * d.*measure.value;
      seconds.*measure.value += track_seconds;
    }
  }
  Distances value() const {
    Distances mean = kNoDistances;
    for (const Measure& measure : kMeasures) {
      if (seconds.*measure.value > 0) mean.*measure.value = sum.*measure.value / (seconds.*measure.value);
    }
    return mean;
  }
};

// One curve over all tracks, every one of which has it.
std::vector<RatePoint> mean_curve(const std::vector<TrackRate>& tracks, std::vector<RatePoint> TrackRate::*curve,
                                  size_t num_sources) {
  std::vector<RatePoint> points;
  for (size_t i = 0; i < (tracks[0].*curve).size(); ++i) {
    RatePoint point{(tracks[0].*curve)[i].setting, 0, 0, {}, {}};
    Mean mixture;
    std::vector<Mean> sources(num_sources);
    bool any_sources = false;
    for (const TrackRate& track : tracks) {
      const RatePoint& one = (track.*curve)[i];
      point.file_bytes += one.file_bytes;
      point.packet_bytes += one.packet_bytes;
      mixture.add(one.mixture, track.seconds);
      any_sources = any_sources || !one.sources.empty();
      for (size_t s = 0; s < one.sources.size(); ++s) sources[s].add(one.sources[s], track.seconds);
    }
    point.mixture = mixture.value();
    if (any_sources) {
      for (const Mean& mean : sources) point.sources.push_back(mean.value());
    }
    points.push_back(std::move(point));
  }
  return points;
}

void add_file(FileRate& sum, const FileRate& file) {
  sum.num_codebooks = file.num_codebooks;
  sum.sources.resize(file.sources.size());
  for (auto member : {&FileRate::header_bytes, &FileRate::metadata_bytes, &FileRate::segment_head_bytes,
                      &FileRate::index_bytes, &FileRate::file_bytes, &FileRate::checksum_bytes, &FileRate::num_frames,
                      &FileRate::prior_file_bytes, &FileRate::joint_file_bytes}) {
    sum.*member += file.*member;
  }
  for (size_t s = 0; s < file.sources.size(); ++s) {
    SourceRate& to = sum.sources[s];
    const SourceRate& from = file.sources[s];
    for (auto member : {&SourceRate::stream_bytes, &SourceRate::checksum_bytes, &SourceRate::gain_bytes,
                        &SourceRate::code_bytes, &SourceRate::zstd_packed_bytes, &SourceRate::zstd_words_bytes,
                        &SourceRate::num_silent_frames, &SourceRate::silent_bytes}) {
      to.*member += from.*member;
    }
    to.raw_bytes += from.raw_bytes;
    to.codebook_bits.resize(from.codebook_bits.size());
    for (size_t h = 0; h < from.codebook_bits.size(); ++h) to.codebook_bits[h] += from.codebook_bits[h];
    for (auto member : {&SourceRate::prior, &SourceRate::joint}) {
      if (!(from.*member)) continue;
      if (!(to.*member)) (to.*member).emplace();
      (to.*member)->code_bytes += (from.*member)->code_bytes;
      std::vector<double>& bits = (to.*member)->codebook_bits;
      bits.resize((from.*member)->codebook_bits.size());
      for (size_t h = 0; h < bits.size(); ++h) bits[h] += (from.*member)->codebook_bits[h];
    }
  }
}

TrackRate mean_of(const std::vector<TrackRate>& tracks, size_t num_sources) {
  TrackRate mean;
  bool all_have_stems = true;
  for (const TrackRate& track : tracks) {
    mean.seconds += track.seconds;
    mean.files.resize(track.files.size());
    for (size_t i = 0; i < track.files.size(); ++i) add_file(mean.files[i], track.files[i]);
    all_have_stems = all_have_stems && !track.opus_stems.empty();
  }
  mean.levels = mean_curve(tracks, &TrackRate::levels, num_sources);
  mean.opus = mean_curve(tracks, &TrackRate::opus, num_sources);
  // A mean over fewer tracks would not be a rival of ours over all.
  if (all_have_stems) mean.opus_stems = mean_curve(tracks, &TrackRate::opus_stems, num_sources);
  return mean;
}

using Points = std::vector<std::pair<double, double>>;

// (kbit/s, value) of the points that have it; source < 0: of the mixture.
Points curve_points(const Json& curve, int source, const char* key) {
  Points points;
  for (const Json& point : curve) {
    if (source >= 0 && !point.contains("sources")) continue;
    const Json& value = source < 0 ? point["mixture"][key] : point["sources"][static_cast<size_t>(source)][key];
    if (value.is_number() && point["kbit_per_second"].is_number()) {
      points.emplace_back(point["kbit_per_second"].get<double>(), value.get<double>());
    }
  }
  return points;
}

Json interpolated_json(const Json& curve, int source, double rate) {
  Json json;
  for (const Measure& measure : kMeasures) {
    json[measure.key] = number_or_null(interpolate_log(curve_points(curve, source, measure.key), rate));
  }
  return json;
}

// A level of ours beside a curve of Opus: its point of the nearest rate, and the curve at our rate (null outside of it).
Json match_json(const Json& curve, const std::vector<std::string>& names, double rate) {
  const Json* nearest = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Json& point : curve) {
    const double distance = std::abs(std::log(point["kbit_per_second"].get<double>() / rate));
    if (distance >= least) continue;
    least = distance;
    nearest = &point;
  }
  Json interpolated = {{"mixture", interpolated_json(curve, -1, rate)}};
  if (nearest->contains("sources")) {
    for (size_t s = 0; s < names.size(); ++s) {
      Json source = {{"name", names[s]}};
      source.update(interpolated_json(curve, static_cast<int>(s), rate));
      interpolated["sources"].push_back(std::move(source));
    }
  }
  return {{"nearest", *nearest}, {"interpolated", std::move(interpolated)}};
}

std::string cell(const Json& value, int width, int digits) {
  std::string text;
  if (value.is_number()) {
    append(text, "%*.*f", width, digits, value.get<double>());
  } else {
    append(text, "%*s", width, "-");
  }
  return text;
}

std::string distance_cells(const Json& d) {
  return cell(d["mel"], 8, 3) + cell(d["mel_two_scales"], 9, 3) + cell(d["log_spectral_db"], 8, 2) +
         cell(d["si_sdr_db"], 8, 2);
}

constexpr const char* kDistanceHead = "     mel   mel(2)  LSD dB  SI-SDR";

}  // namespace

Json rate_json(const std::vector<TrackRate>& tracks, const std::vector<std::string>& sources,
               const std::vector<LeftOutMeasure>& left_out) {
  Json report = {{"sources", sources}, {"opus_version", opus_version()}, {"tracks", Json::array()}};
  for (const TrackRate& track : tracks) {
    Json json = {{"name", track.name}, {"seconds", track.seconds}, {"remarks", track.remarks}};
    add_curves(json, track, sources);
    report["tracks"].push_back(std::move(json));
  }
  Json summary = {{"num_tracks", tracks.size()}};
  if (!tracks.empty()) {
    const TrackRate mean = mean_of(tracks, sources.size());
    summary["seconds"] = mean.seconds;
    add_curves(summary, mean, sources);
    summary["matched"] = Json::array();
    for (const Json& level : summary["levels"]) {
      const double rate = level["kbit_per_second"];
      Json match = {{"num_codebooks", level["num_codebooks"]},
                    {"kbit_per_second", rate},
                    {"mixture", level["mixture"]}};
      if (level.contains("sources")) match["sources"] = level["sources"];
      for (const char* rival : {"opus", "opus_stems"}) {
        if (!summary[rival].empty()) match[rival] = match_json(summary[rival], sources, rate);
      }
      summary["matched"].push_back(std::move(match));
    }
  }
  report["summary"] = std::move(summary);
  report["left_out"] = Json::array();
  for (const LeftOutMeasure& one : left_out) {
    Json json = {{"track", one.track}};
    if (!one.source.empty()) json["source"] = one.source;
    if (!one.what.empty()) json["what"] = one.what;
    json["why"] = one.why;
    report["left_out"].push_back(std::move(json));
  }
  return report;
}

std::vector<RatePlot> rate_plots(const Json& report) {
  const Json& summary = report["summary"];
  std::vector<RatePlot> plots;
  if (!summary.contains("levels")) return plots;
  for (const Measure& measure : kMeasures) {
    std::vector<Panel> panels;
    const auto add = [&](const std::string& title, int source) {
      Panel panel{.title = title, .x_label = "kbit/s of the whole file", .y_label = measure.axis, .log_x = true};
      Points ours = curve_points(summary["levels"], source, measure.key);
      if (ours.empty()) return;
      panel.series.push_back({.name = "vqcodec", .points = std::move(ours), .color = 0});
      Points opus = curve_points(summary["opus"], source, measure.key);
      if (!opus.empty()) panel.series.push_back({.name = "Opus", .points = std::move(opus), .color = 1});
      Points stems = curve_points(summary["opus_stems"], source, measure.key);
      if (!stems.empty()) {
        panel.series.push_back(
            {.name = "Opus, true sources apart", .points = std::move(stems), .color = 2, .dashed = true});
      }
      panels.push_back(std::move(panel));
    };
    add("Mixture", -1);
    const std::vector<std::string> sources = report["sources"];
    for (size_t s = 0; s < sources.size(); ++s) add(sources[s], static_cast<int>(s));
    if (panels.empty()) continue;
    plots.push_back({std::string(measure.title) + " over the rate", measure.file,
                     svg_plot(panels, static_cast<int>(std::min<size_t>(panels.size(), 2)), 460, 320)});
  }
  Panel coders{.title = "What coding saves", .x_label = "codebooks kept", .y_label = "kbit/s of all codes"};
  const double seconds = summary["seconds"];
  int color = 0;
  for (const auto& [key, name] : {std::pair{"raw_bytes", "raw"}, std::pair{"zstd_packed_bytes", "zstd -19, packed"},
                                  std::pair{"zstd_words_bytes", "zstd -19, two bytes a code"},
                                  std::pair{"adaptive_bytes", "adaptive model"}, std::pair{"prior_bytes", "prior"},
                                  std::pair{"joint_bytes", "prior, joint"}}) {
    Series series{.name = name, .color = color++};
    for (const Json& level : summary["levels"]) {
      double bytes = 0;
      bool there = true;
      for (const Json& source : level["file"]["sources"]) {
        there = there && source["coders"].contains(key);
        if (there) bytes += source["coders"][key].get<double>();
      }
      if (there) series.points.emplace_back(level["num_codebooks"].get<double>(), kbit_per_second(bytes, seconds));
    }
    if (!series.points.empty()) coders.series.push_back(std::move(series));
  }
  plots.push_back({"Rate of the codes by coder", "rate_coders.svg", svg_plot({coders}, 1, 560, 360)});
  return plots;
}

std::string rate_text(const Json& report) {
  const Json& summary = report["summary"];
  std::string text;
  if (summary.contains("levels")) {
    const double seconds = summary["seconds"];
    append(text, "%zu tracks, %s; rates are of whole files, distances means over all seconds\n",
           summary["num_tracks"].get<size_t>(), format_duration(seconds).c_str());

    text += "\ncodebooks   kbit/s      raw  zstd(p)  zstd(w) adaptive overhead";
    for (const Json& name : report["sources"]) append(text, " %8.8s", name.get<std::string>().c_str());
    text += "\n";
    const bool has_prior = !summary["levels"].empty() && summary["levels"][0]["file"].contains("prior_file_bytes");
    for (const Json& level : summary["levels"]) {
      const Json& file = level["file"];
      append(text, "%9d", level["num_codebooks"].get<int>());
      text += cell(level["kbit_per_second"], 9, 3);
      double streams = 0;
      for (const char* key : {"raw_bytes", "zstd_packed_bytes", "zstd_words_bytes", "adaptive_bytes"}) {
        double bytes = 0;
        for (const Json& source : file["sources"]) bytes += source["coders"][key].get<double>();
        text += cell(kbit_per_second(bytes, seconds), 9, 3);
        streams = bytes;
      }
      text += cell(kbit_per_second(level["bytes"].get<double>() - streams, seconds), 9, 3);
      for (const Json& source : file["sources"]) text += cell(source["kbit_per_second"], 9, 3);
      text += "\n";
    }
    text +=
        "raw, zstd (-19; p: packed bits, w: two bytes a code) and adaptive: of all codes; overhead: all else in the "
        "file\n";

    if (has_prior) {
      text += "\nkbit/s of the codes by coder, and saved against raw\ncodebooks  source       raw   adaptive              prior"
              "              joint  over ideal\n";
    }
    for (const Json& level : summary["levels"]) {
      if (!has_prior) break;
      constexpr const char* kKeys[] = {"raw_bytes", "adaptive_bytes", "prior_bytes", "joint_bytes"};
      double sums[4] = {}, all_ideal = 0;
      const auto line = [&](const std::string& name, const double (&bytes)[4], double ideal) {
        append(text, "%9d  %-8.8s", level["num_codebooks"].get<int>(), name.c_str());
        text += cell(number_or_null(kbit_per_second(bytes[0], seconds)), 8, 3);
        for (int i = 1; i < 4; ++i) {
          text += cell(number_or_null(kbit_per_second(bytes[i], seconds)), 10, 3);
          append(text, " (%5.1f %%)", bytes[0] > 0 ? 100 * (1 - bytes[i] / bytes[0]) : 0);
        }
        append(text, " %8.3f %%\n", ideal > 0 ? 100 * (bytes[2] / ideal - 1) : 0);
      };
      for (const Json& source : level["file"]["sources"]) {
        double bytes[4];
        for (int i = 0; i < 4; ++i) sums[i] += bytes[i] = source["coders"][kKeys[i]].get<double>();
        const double ideal = source["ideal"]["prior_bytes"];
        all_ideal += ideal;
        line(source["name"].get<std::string>(), bytes, ideal);
      }
      line("all", sums, all_ideal);
    }
    if (has_prior) {
      text += "over ideal: what prior-coded bytes have more than the sum of -log2 of their probabilities\n";
      for (const Json& source : summary["levels"].back()["file"]["sources"]) {
        const Json& silent = source["silent"];
        if (silent["seconds"].get<double>() > 0) {
          append(text, "silence of %s: %.1f s of segments at %.1f bit/s\n", source["name"].get<std::string>().c_str(),
                 silent["seconds"].get<double>(), silent["bit_per_second"].get<double>());
        }
      }
    }

    const auto curve = [&](const char* title, const char* setting, const char* key, const Json& points) {
      if (points.empty()) return;
      append(text, "\n%-24s   kbit/s%s\n", title, kDistanceHead);
      for (const Json& point : points) {
        std::string name = point[key].dump();
        append(text, "%9s %-14s", name.c_str(), setting);
        text += cell(point["kbit_per_second"], 9, 3) + distance_cells(point["mixture"]) + "\n";
        if (!point.contains("sources")) continue;
        for (const Json& source : point["sources"]) {
          append(text, "%24s %8s", source["name"].get<std::string>().substr(0, 20).c_str(), "");
          text += distance_cells(source) + "\n";
        }
      }
    };
    curve("vqcodec, mixture", "codebooks", "num_codebooks", summary["levels"]);
    curve("Opus, mixture", "bit/s asked", "bitrate_bps", summary["opus"]);
    curve("Opus, sources apart", "bit/s asked", "bitrate_bps", summary["opus_stems"]);

    if (!summary["opus"].empty()) {
      text += "\nat matched rate, mixture: Opus of the nearest rate, and its curve at our rate\n";
      append(text, "%-24s   kbit/s%s\n", "", kDistanceHead);
    }
    for (const Json& match : summary["matched"]) {
      if (summary["opus"].empty()) break;
      append(text, "%9d %-14s", match["num_codebooks"].get<int>(), "codebooks");
      const double rate = match["kbit_per_second"];
      text += cell(rate, 9, 3) + distance_cells(match["mixture"]) + "\n";
      for (const auto& [rival, name] : {std::pair{"opus", "Opus"}, std::pair{"opus_stems", "Opus, apart"}}) {
        if (!match.contains(rival)) continue;
        const Json& nearest = match[rival]["nearest"];
        const double nearest_rate = nearest["kbit_per_second"];
        if (std::abs(std::log2(nearest_rate / rate)) > 1) {
          append(text, "%24s%9s no rate within a factor of 2\n", name, "-");
          continue;
        }
        append(text, "%24s", name);
        text += cell(nearest_rate, 9, 3) + distance_cells(nearest["mixture"]) + "\n";
        const Json& interpolated = match[rival]["interpolated"]["mixture"];
        if (interpolated["mel"].is_null()) continue;
        append(text, "%24s", "its curve");
        text += cell(rate, 9, 3) + distance_cells(interpolated) + "\n";
      }
    }
  }
  for (const Json& track : report["tracks"]) {
    for (const Json& remark : track["remarks"]) {
      text += "remark: " + track["name"].get<std::string>() + ": " + remark.get<std::string>() + "\n";
    }
  }
  for (const Json& one : report["left_out"]) {
    text += "left out: " + one["track"].get<std::string>();
    for (const char* key : {"source", "what"}) {
      if (one.contains(key)) text += ", " + one[key].get<std::string>();
    }
    text += ": " + one["why"].get<std::string>() + "\n";
  }
  return text;
}

}  // namespace vqcodec::eval
