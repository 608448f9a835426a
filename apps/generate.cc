#include "apps/generate.h"

#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <numeric>

#include "apps/atomic_sink.h"
#include "apps/command.h"
#include "apps/line_judge.h"
#include "apps/prior_file.h"
#include "apps/song_input.h"
#include "audio/writer.h"
#include "base/error.h"
#include "base/progress.h"
#include "codec/vqc_writer.h"
#include "eval/fit.h"
#include "eval/json_output.h"
#include "eval/pitch.h"
#include "eval/tracks.h"
#include "runtime/sha256.h"
#include "vqvae/decoder.h"
#include "vqvae/encoder.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
using eval::Json;

constexpr double kPlainLevel = 0.1;  // -20 dB
constexpr double kLeastSeconds = 1;

// "bass.wav" and 2 to "bass-2.wav".
std::string numbered(const std::string& path, int number) {
  const fs::path whole(path);
  return (whole.parent_path() / (whole.stem().string() + "-" + std::to_string(number) + whole.extension().string()))
      .string();
}

void check_options(const GenerateOptions& options) {
  const auto fail = [](const std::string& what) { throw Error(ExitCode::kUsage, what); };
  const bool vqc = options.output.ends_with(".vqc");
  const bool audio = options.output == "-" || options.output.ends_with(".wav") || options.output.ends_with(".flac");
  if (!vqc && !audio) fail(options.output + ": expected a name that ends in .wav, .flac or .vqc");
  if (options.output == "-" && isatty(STDOUT_FILENO) == 1)
    fail("standard output is a terminal; give a file with -o, or a pipe");
  if (options.output == "-" && options.json) fail("--json and -o - both want standard output");
  if (options.output == "-" && options.line.num_lines > 1 && !options.best)
    fail("--count: several lines do not go to standard output; give a file with -o, or --best");
  if (options.mix && vqc) fail("--mix: a .vqc holds the whole song anyway");
  if (!options.midi.empty() && options.source == "drums") fail("--midi: drums have no notes that could be tracked");
  if (!options.midi.empty() && !options.midi.ends_with(".mid") && !options.midi.ends_with(".midi"))
    fail(options.midi + ": expected a name that ends in .mid");
  generate::check(options.line);
  for (const double temperature : {options.level_temperature, options.detail_temperature})
    generate::check(generate::SamplingOptions{.temperature = temperature});
  if (options.best && options.line.num_lines < 2) fail("--best needs --count of 2 or more");
  if (options.context.empty()) {
    if (options.mix) fail("--mix needs a song (--context)");
    if (options.best) fail("--best needs a song to fit to (--context)");
    if (!options.listen_to.empty()) fail("--listen-to needs a song (--context)");
    if (options.from_seconds || options.to_seconds) fail("--from, --to and --continue need a song (--context)");
    if (!(options.seconds > 0)) fail("expected either a song to fit to (--context FILE) or a length (--seconds)");
    if (!(options.seconds >= kLeastSeconds && options.seconds <= 1e6)) fail("--seconds: expected 1 or more");
  } else if (options.seconds != 0) {
    fail("--seconds is for lines without a song; the line is as long as the song");
  }
}

int find_source(const std::vector<std::string>& sources, const std::string& name, const std::string& of) {
  const auto at = std::ranges::find(sources, name);
  if (at != sources.end()) return static_cast<int>(at - sources.begin());
  std::string all;
  for (const std::string& source : sources) all += (all.empty() ? "" : ", ") + source;
  throw Error(ExitCode::kUsage, of + " has no source \"" + printable(name) + "\"; it has " + all);
}

CodedSong empty_song(const GenerateOptions& options, int num_codebooks, runtime::ThreadPool& pool) {
  CodedSong result;
  result.model = load_model(options.model);
  const vqvae::ModelConfig& config = result.model.model->config();
  const vqvae::Encoder encoder(result.model.model, {.num_codebooks = std::min(num_codebooks, config.num_codebooks)},
                               pool, [](const auto&) {});
  codec::StreamInfo info = encoder.stream_info();
  info.num_samples = static_cast<uint64_t>(std::llround(options.seconds * config.sample_rate_hz));
  info.num_frames = (info.num_samples + info.hop_samples - 1) / info.hop_samples + 1;
  result.song = generate::silent_song(info, static_cast<int64_t>(info.num_frames));
  result.metadata = {{"encoder", "vqcodec " VQCODEC_VERSION}, {"model_name", model_name(*result.model.model)}};
  return result;
}

generate::Passage choose_passage(const GenerateOptions& options, const codec::StreamInfo& info) {
  const double hop_seconds = static_cast<double>(info.hop_samples) / info.sample_rate_hz;
  const double song_seconds = static_cast<double>(info.num_samples) / info.sample_rate_hz;
  const auto num_frames = static_cast<int64_t>(info.num_frames);
  generate::Passage passage{0, num_frames};
  const double from = options.from_seconds.value_or(0), to = options.to_seconds.value_or(song_seconds);
  if (!(from >= 0) || !(to >= 0)) throw Error(ExitCode::kUsage, "--from, --to: expected times of 0 s or more");
  if (!(from < song_seconds)) {
    throw Error(ExitCode::kUsage, "--from is beyond the end: the song has " + format_duration(song_seconds));
  }
  if (!(to > from)) throw Error(ExitCode::kUsage, "--to is not after --from: nothing is left to write");
  // The middle of frame f is at f hops.
  if (from > 0) passage.from_frame = std::min<int64_t>(std::llround(from / hop_seconds), num_frames - 1);
  if (to < song_seconds) {
    passage.to_frame =
        std::min(std::max(passage.from_frame + 1, static_cast<int64_t>(std::llround(to / hop_seconds))), num_frames);
  }
  return passage;
}

class Maker {
 public:
  Maker(const GenerateOptions& options, const Warn& warn)
      : options_(options), warn_(warn), pool_(options.num_threads) {}

  void run() {
    // Before anything that takes long.
    const int num_files = options_.best ? 1 : options_.line.num_lines;
    for (int i = 1; i <= num_files; ++i) {
      for (const std::string& path : {options_.output, options_.midi}) {
        if (!path.empty() && path != "-") check_free(num_files == 1 ? path : numbered(path, i));
      }
    }
    const std::optional<LoadedPrior> found = load_prior(options_.prior);
    if (!found) {
      throw Error(ExitCode::kModel,
                  "no prior was found; name one with --prior FILE or in the environment variable VQCODEC_PRIOR");
    }
    prior_ = *found;
    const int prior_codebooks = prior_.model->config().num_codebooks;
    coded_ =
        options_.context.empty()
            ? empty_song(options_, prior_codebooks, pool_)
            : read_song(options_.context, {options_.model, prior_.path, prior_codebooks, options_.quiet}, pool_, warn_);
    const codec::StreamInfo& info = coded_.song.info;
    source_ = find_source(info.sources, options_.source, "the model");
    if (static_cast<double>(info.num_samples) < kLeastSeconds * info.sample_rate_hz) {
      char text[32];
      std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(info.num_samples) / info.sample_rate_hz);
      throw Error(ExitCode::kUsage,
                  options_.context + ": has " + text + ", expected a second or more to fit a line to");
    }
    const bool has_chords = !options_.context.empty() && options_.source != "drums";
    has_tries_ = has_chords && options_.line.steering.num_tries > 1;
    has_tones_ =
        has_chords && options_.line.steering.tone_strength > 0 && generate::Tones::fits(coded_.model.model->config());
    if (has_tries_ || has_tones_) hear_context();
    if (!options_.context.empty() && (options_.best || options_.json)) measure_context();
    draw();
    for (generate::Line& line : made_.lines) lowered_db_.push_back(is_lowered_when_written() ? 0 : lower(line));
    report_ = eval::report_header("line", VQCODEC_VERSION, options_.command);
    describe();
    const int num_lines = static_cast<int>(made_.lines.size());
    if (options_.best) {
      write(best_line(), 0);
    } else {
      for (int i = 0; i < num_lines; ++i) write(i, num_lines == 1 ? 0 : i + 1);
    }
    if (options_.json) print(eval::json_text(report_));
  }

 private:
  void check_free(const std::string& path) const {
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (!options_.force && fs::is_regular_file(status))
      throw Error(ExitCode::kUsage, path + ": exists; --force overwrites it");
  }

  void draw() {
    generate::LineOptions line = options_.line;
    for (const std::string& name : options_.listen_to) {
      const int heard = find_source(coded_.song.info.sources, name, "the song");
      if (heard == source_) throw Error(ExitCode::kUsage, "--listen-to " + name + ": that is the line to be written");
      line.listen_to.push_back(heard);
    }
    const int levels = coded_.model.model->config().envelope_codebook;
    line.temperatures.assign(coded_.song.info.num_codebooks, options_.detail_temperature);
    line.temperatures[levels == 0 && line.temperatures.size() > 1 ? 1 : 0] = line.sampling.temperature;
    if (levels >= 0 && levels < static_cast<int>(line.temperatures.size()))
      line.temperatures[static_cast<size_t>(levels)] = options_.level_temperature;
    int plain_gain = 0;
    if (options_.context.empty()) {
      const bool has_levels = coded_.model.model->config().encoder_kind != vqvae::EncoderKind::kDirect;
      plain_gain = has_levels ? vqvae::gain_index(kPlainLevel) : vqvae::kUnitGain;
    }
    Progress progress("writing " + options_.source, options_.quiet);
    line.on_progress = [&](double share) { progress.update(share, 1); };
    const generate::Passage passage = choose_passage(options_, coded_.song.info);
    std::optional<LineJudge> judge;
    if (has_tries_ || has_tones_) {
      judge.emplace(coded_.model.model, coded_.song.info, source_, heard_, heard_own_);
      line.steering.ends = judge->stretch_ends();
    }
    if (has_tries_) line.steering.judge = std::cref(*judge);
    if (has_tones_) {
      line.steering.tones =
          std::make_shared<generate::Tones>(*coded_.model.model, source_,
                                            static_cast<int>(coded_.song.info.num_codebooks), judge->pitches_hz());
      line.steering.choose_pitch = std::bind_front(&LineJudge::choose_pitch, std::cref(*judge));
    }
    made_ = generate::make_lines(prior_.model, coded_.song, source_, passage, line, plain_gain, pool_);
    if (made_.passage.from_frame != passage.from_frame || made_.passage.to_frame != passage.to_frame) {
      warn_("the passage was widened to " + seconds_of(made_.passage.from_frame) + " to " +
            seconds_of(made_.passage.to_frame) + " s, because the line was silent at its ends");
    }
  }

  // A file of the line alone is decoded for its peaks and for itself at once, and only if they are too high written anew.
  bool is_lowered_when_written() const {
    return !options_.mix && !options_.best && options_.output != "-" && !options_.output.ends_with(".vqc");
  }

  // A level was set for what the song's own line peaks like. One that peaks higher would be clipped: the segments that are
  // new as a whole are lowered by the same number of steps. Gives the dB.
  double lower(generate::Line& line) {
    Peaks peaks(*this, line);
    decode(line, false, [&](std::span<const float> samples) { peaks.add(samples); });
    return peaks.lower();
  }

  class Peaks {
   public:
    Peaks(const Maker& maker, generate::Line& line) : maker_(maker), line_(line), peaks_(line.segments.size()) {}

    // Interleaved stereo, block by block.
    void add(std::span<const float> samples) {
      const codec::StreamInfo& info = maker_.coded_.song.info;
      for (size_t i = 0; i < samples.size();) {
        const int64_t sample = at_ + static_cast<int64_t>(i / 2);
        const int64_t frame = sample / info.hop_samples + 1;  // frame 0 begins one hop before the song
        const size_t end = std::min(samples.size(), i + 2 * static_cast<size_t>(frame * info.hop_samples - sample));
        float& peak = peaks_[std::min(static_cast<size_t>(frame / info.segment_frames), peaks_.size() - 1)];
        for (; i < end; ++i) peak = std::max(peak, std::abs(samples[i]));
      }
      at_ += static_cast<int64_t>(samples.size() / 2);
    }

    // Of the line, by what was added.
    double lower() const {
      if (maker_.coded_.model.model->config().encoder_kind == vqvae::EncoderKind::kDirect) return 0;  // all are 0 dB
      float most = 0;
      for (size_t k = 0; k < peaks_.size(); ++k) {
        if (is_new(k)) most = std::max(most, peaks_[k]);
      }
      int steps = 0;
      for (float peak = most; peak > 1; peak *= vqvae::gain_scale(64) / vqvae::gain_scale(65)) ++steps;
      for (size_t k = 0; k < peaks_.size() && steps > 0; ++k) {
        uint16_t& gain = line_.segments[k].gain;
        if (is_new(k) && gain > 0) gain = static_cast<uint16_t>(std::max(1, gain - steps));
      }
      return 1.5 * steps;
    }

   private:
    bool is_new(size_t k) const {
      const auto segment_frames = static_cast<int64_t>(maker_.coded_.song.info.segment_frames);
      const int64_t begin = static_cast<int64_t>(k) * segment_frames;
      return maker_.made_.passage.from_frame <= begin &&
             std::min(begin + segment_frames, maker_.num_frames()) <= maker_.made_.passage.to_frame;
    }

    const Maker& maker_;
    generate::Line& line_;
    std::vector<float> peaks_;  // of every segment
    int64_t at_ = 0;            // samples so far
  };

  std::string seconds_of(int64_t frame) const {
    char text[32];
    std::snprintf(text, sizeof text, "%.2f", frame_seconds(frame));
    return text;
  }
  double frame_seconds(int64_t frame) const {
    const codec::StreamInfo& info = coded_.song.info;
    return static_cast<double>(frame) * info.hop_samples / info.sample_rate_hz;
  }

  void describe() {
    report_["source"] = options_.source;
    report_["context"] =
        options_.context.empty() ? Json(nullptr) : Json(fs::path(options_.context).filename().string());
    report_["model"] = eval::model_json(*coded_.model.model, coded_.model.path);
    report_["prior"] = {{"id", runtime::to_hex(prior_.model->id())},
                        {"name", prior_name(*prior_.model)},
                        {"file", fs::path(prior_.path).filename().string()}};
    const generate::LineOptions& line = options_.line;
    report_["settings"] = {{"seed", line.seed},
                           {"temperature", line.sampling.temperature},
                           {"level_temperature", options_.level_temperature},
                           {"detail_temperature", options_.detail_temperature},
                           {"top_k", line.sampling.top_k},
                           {"top_p", line.sampling.top_p},
                           {"guidance", line.guidance},
                           {"repetition_penalty", line.repetition_penalty},
                           {"tones", has_tones_ ? line.steering.tone_strength : 0},
                           {"tries", has_tries_ ? line.steering.num_tries : 1},
                           {"candidates", made_.num_candidates}};
    report_["from_seconds"] = frame_seconds(made_.passage.from_frame);
    report_["to_seconds"] = std::min(frame_seconds(made_.passage.to_frame), frame_seconds(num_frames()));
    report_["listened_to"] = Json::array();
    for (const int s : made_.context)
      report_["listened_to"].push_back(coded_.song.info.sources[static_cast<size_t>(s)]);
    if (context_) report_["own"] = eval::fit_figures_json(own_);
    report_["lines"] = Json::array();
  }
  int64_t num_frames() const { return static_cast<int64_t>(coded_.song.info.num_frames); }

  // Decodes the line alone, or with the rest of the song; `sink` gets interleaved stereo, num_samples in all.
  void decode(const generate::Line& line, bool whole_song, const std::function<void(std::span<const float>)>& sink) {
    const codec::StreamInfo& info = coded_.song.info;
    auto left = static_cast<int64_t>(info.num_samples);
    const auto take_samples = [&](std::span<const float> block) {
      const auto count = std::min(left, static_cast<int64_t>(block.size() / 2));
      sink(block.first(static_cast<size_t>(2 * count)));
      left -= count;
    };
    // Segments apart, each with as much of its neighbours as it takes to be as in the whole, one a thread.
    const int64_t num_frames = this->num_frames(), segment_frames = info.segment_frames;
    const int64_t past = vqvae::Decoder::context_frames(coded_.model.model->config()) + 1, hop = info.hop_samples;
    const auto num_segments = static_cast<int64_t>(line.segments.size());
    std::vector<std::vector<float>> samples(static_cast<size_t>(pool_.size()));
    const auto decode_segment = [&](int64_t k, std::vector<float>& out) {
      const int64_t begin = k * segment_frames, end = std::min(begin + segment_frames, num_frames);
      const int64_t first = std::max<int64_t>(0, begin - past), last = std::min(num_frames, end + past);
      out.clear();
      vqvae::DecoderOptions decoder_options{.num_codebooks = static_cast<int>(info.num_codebooks),
                                            .first_frame = first};
      if (!whole_song) decoder_options.sources = {source_};
      vqvae::Decoder decoder(coded_.model.model, decoder_options, pool_, [&](int, std::span<const float> block) {
        out.insert(out.end(), block.begin(), block.end());
      });
      for (int64_t i = first / segment_frames; i * segment_frames < last; ++i) {
        const auto at = static_cast<size_t>(i);
        const int64_t from = std::max(first - i * segment_frames, int64_t{0});
        const int64_t to = std::min(last - i * segment_frames, segment_frames);
        std::vector<codec::SourceSegment> segment;
        if (whole_song) segment = coded_.song.segments[at];
        segment.resize(std::max<size_t>(segment.size(), 1));
        segment[whole_song ? static_cast<size_t>(source_) : 0] = line.segments[at];
        for (codec::SourceSegment& source : segment) {
          source.codes.erase(source.codes.begin() + to * info.num_codebooks, source.codes.end());
          source.codes.erase(source.codes.begin(), source.codes.begin() + from * info.num_codebooks);
        }
        decoder.push(segment);
      }
      decoder.finish();
      // The sound between the middles of two frames belongs to the later one's segment.
      const int64_t wanted_from = std::max<int64_t>(0, begin - 1), wanted_to = end - 1;
      out.erase(out.begin() + 2 * hop * (wanted_to - first), out.end());
      out.erase(out.begin(), out.begin() + 2 * hop * (wanted_from - first));
    };
    Progress progress("decoding", options_.quiet);
    for (int64_t k = 0; k < num_segments; k += pool_.size()) {
      const int64_t count = std::min<int64_t>(pool_.size(), num_segments - k);
      pool_.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) decode_segment(k + i, samples[static_cast<size_t>(i)]);
      });
      for (int64_t i = 0; i < count; ++i) take_samples(samples[static_cast<size_t>(i)]);
      progress.update(static_cast<double>(k + count), static_cast<double>(num_segments));
    }
    const std::vector<float> silence(2 * 4096);
    while (left > 0) take_samples(silence);
  }

  // A source of the song as it is, mono.
  std::vector<float> decode_source(size_t source) {
    const codec::StreamInfo& info = coded_.song.info;
    std::vector<float> mono;
    vqvae::Decoder decoder(coded_.model.model,
                           {.sources = {static_cast<int>(source)},
                            .num_codebooks = static_cast<int>(info.num_codebooks)},
                           pool_, [&](int, std::span<const float> samples) {
                             const auto part = eval::to_mono(samples);
                             mono.insert(mono.end(), part.begin(), part.end());
                           });
    for (const auto& segment : coded_.song.segments) decoder.push(std::span(segment).subspan(source, 1));
    decoder.finish();
    mono.resize(static_cast<size_t>(info.num_samples));
    return mono;
  }

  // Codes and amplitudes of a source of the song, frame by frame.
  struct Frames {
    std::vector<uint16_t> codes;
    std::vector<float> amplitudes;
  };
  Frames frames_of(size_t source) const {
    Frames frames;
    for (const auto& segment : coded_.song.segments) {
      const codec::SourceSegment& here = segment[source];
      frames.codes.insert(frames.codes.end(), here.codes.begin(), here.codes.end());
      frames.amplitudes.resize(frames.codes.size() / coded_.song.info.num_codebooks, vqvae::gain_scale(here.gain));
    }
    return frames;
  }

  // What steers a line: beats by the drums, and without noise and as far up as they are looked at the chords of the
  // others and the notes of the song's own line.
  void hear_context() {
    const codec::StreamInfo& info = coded_.song.info;
    const auto& model = coded_.model.model;
    const auto rate_hz = static_cast<int>(info.sample_rate_hz);
    const double seconds = static_cast<double>(info.num_samples) / rate_hz;
    const int factor = generate::LowBand::factor_for(model->config(), eval::kHarmonyRateHz);
    const auto drums = static_cast<size_t>(std::ranges::find(info.sources, "drums") - info.sources.begin());
    // The longest first.
    std::vector<size_t> order(info.sources.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, {}, [&](size_t source) { return source != drums; });
    std::vector<std::vector<float>> lows(order.size());
    eval::LineAnalysis own;
    bool has_drums = false;
    pool_.parallel_for(static_cast<int64_t>(order.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const size_t source = order[static_cast<size_t>(i)];
        if (source == drums) {
          const std::vector<float> samples = decode_source(source);
          has_drums = eval::sounds(samples);
          if (has_drums) heard_ = eval::analyse_rhythm(samples, true, seconds, rate_hz);
          continue;
        }
        const Frames frames = frames_of(source);
        if (static_cast<int>(source) == source_) {
          own = LineJudge::hear_line(model, info, source_, frames.codes, frames.amplitudes);
        } else {
          const generate::LowBand band(model, static_cast<int>(source), static_cast<int>(info.num_codebooks), factor);
          lows[source] = band.decode(frames.codes, frames.amplitudes);
        }
      }
    });
    const auto sum_of_all = [](const std::vector<std::vector<float>>& signals) {
      std::vector<float> sum;
      for (const std::vector<float>& signal : signals) eval::add_signal(sum, signal);
      return sum;
    };
    if (!has_drums) {
      std::vector<std::vector<float>> others(order.size());
      pool_.parallel_for(static_cast<int64_t>(order.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const auto source = static_cast<size_t>(i);
          if (i != source_ && source != drums) others[source] = decode_source(source);
        }
      });
      heard_ = eval::analyse_rhythm(sum_of_all(others), false, seconds, rate_hz);
    }
    heard_.harmony = eval::find_harmony(sum_of_all(lows), rate_hz / factor, heard_.edges);
    heard_own_ = eval::measure_fit(heard_, own, options_.source);
  }

  void measure_context() {
    const auto stems = eval::decode_sources(coded_.model.model, {coded_.song.info, coded_.song.segments}, pool_);
    context_ = eval::analyse_context(stems, coded_.song.info.sources, options_.source,
                                     static_cast<int>(coded_.song.info.sample_rate_hz));
    own_ = measure(eval::to_mono(stems[static_cast<size_t>(source_)]));
  }
  eval::FitFigures measure(std::span<const float> line) const {
    return eval::measure_fit(*context_, line, static_cast<int>(coded_.song.info.sample_rate_hz), options_.source);
  }

  // The line alone as it sounds, mono.
  std::vector<float> decode_mono(const generate::Line& line) {
    std::vector<float> mono;
    decode(line, false, [&](std::span<const float> samples) {
      const auto part = eval::to_mono(samples);
      mono.insert(mono.end(), part.begin(), part.end());
    });
    return mono;
  }

  // The line of the most chord tones and beats together; of equal ones the first.
  int best_line() {
    int best = 0;
    double most = -1;
    for (size_t i = 0; i < made_.lines.size(); ++i) {
      const eval::FitFigures figures = measure(decode_mono(made_.lines[i]));
      const double score =
          (std::isnan(figures.chord_tones) ? 0 : figures.chord_tones) + (std::isnan(figures.beat) ? 0 : figures.beat);
      if (score <= most) continue;
      most = score;
      best = static_cast<int>(i);
    }
    return best;
  }

  void write_midi(std::span<const float> mono, const std::string& path) {
    const auto rate_hz = static_cast<int>(coded_.song.info.sample_rate_hz);
    const auto notes = eval::find_notes(eval::track_pitch(mono, rate_hz, eval::pitch_options(options_.source)));
    const std::vector<uint8_t> bytes = eval::notes_to_midi(notes, options_.source);
    AtomicFile file(path, options_.force);
    file.write(bytes.data(), bytes.size());
    file.commit();
  }

  // Gives how many samples were clipped.
  int64_t write_audio(generate::Line& line, const std::string& path, double& lowered_db) {
    for (bool may_be_lowered = is_lowered_when_written();; may_be_lowered = false) {
      const auto writer =
          audio::AudioWriter::open(path, {.sample_rate_hz = static_cast<int>(coded_.song.info.sample_rate_hz),
                                          .force = options_.force});
      Peaks peaks(*this, line);
      decode(line, options_.mix, [&](std::span<const float> samples) {
        writer->write(samples);
        if (may_be_lowered) peaks.add(samples);
      });
      if (may_be_lowered) lowered_db = peaks.lower();
      if (may_be_lowered && lowered_db > 0) continue;
      writer->finish();
      return writer->num_clipped_samples();
    }
  }

  // `number` 0: the only one.
  void write(int index, int number) {
    generate::Line& line = made_.lines[static_cast<size_t>(index)];
    const std::string path = number == 0 ? options_.output : numbered(options_.output, number);
    int64_t num_clipped = -1;  // not audio
    if (path.ends_with(".vqc")) {
      write_vqc(line, path);
    } else {
      num_clipped = write_audio(line, path, lowered_db_[static_cast<size_t>(index)]);
    }
    Json item = {{"line", index + 1},
                 {"file", path},
                 {"bits_per_code", line.new_bits_per_code},
                 {"kept_bits_per_code", made_.num_candidates > 1 ? Json(line.kept_bits_per_code) : Json(nullptr)},
                 {"lowered_db", lowered_db_[static_cast<size_t>(index)]}};
    if (num_clipped >= 0) item["clipped_samples"] = num_clipped;
    if (num_clipped > 0)
      warn_(path + ": " + std::to_string(num_clipped) + " samples were louder than full scale and were clipped");
    const bool tells_fit = context_ && options_.json;
    if (tells_fit || !options_.midi.empty()) {
      const std::vector<float> mono = decode_mono(line);
      if (tells_fit) item["fit"] = eval::fit_figures_json(measure(mono));
      if (!options_.midi.empty()) {
        const std::string midi = number == 0 ? options_.midi : numbered(options_.midi, number);
        write_midi(mono, midi);
        item["midi"] = midi;
      }
    }
    report_["lines"].push_back(item);
    if (options_.quiet || options_.json) return;
    std::fprintf(
        stderr, "%s: %s of %s, seed %llu, line %d, %.2f bits a code\n", path == "-" ? "standard output" : path.c_str(),
        format_duration(static_cast<double>(coded_.song.info.num_samples) / coded_.song.info.sample_rate_hz).c_str(),
        options_.source.c_str(), static_cast<unsigned long long>(options_.line.seed), index + 1,
        line.new_bits_per_code);
  }

  // All codes of the song as they were, and the line's.
  void write_vqc(const generate::Line& line, const std::string& path) {
    codec::StreamInfo info = coded_.song.info;
    const Coding coding(prior_, info, prior_.path, pool_);
    Json metadata = coded_.metadata.is_object() ? coded_.metadata : Json::object();
    metadata["prior_name"] = prior_name(*prior_.model);
    metadata["generated"] = {{"by", "vqgen " VQCODEC_VERSION},
                             {"source", options_.source},
                             {"seed", options_.line.seed},
                             {"from_seconds", frame_seconds(made_.passage.from_frame)},
                             {"to_seconds", frame_seconds(made_.passage.to_frame)}};
    AtomicFile file(path, options_.force);
    AtomicSink sink(file);
    auto writer =
        take(path, codec::VqcWriter::create(sink, info, metadata.dump(-1, ' ', false, Json::error_handler_t::replace),
                                            {.tools = coding.tools()}));
    Progress progress("writing " + path, options_.quiet);
    for (size_t k = 0; k < line.segments.size(); ++k) {
      std::vector<codec::SourceSegment> segment = coded_.song.segments[k];
      segment[static_cast<size_t>(source_)] = line.segments[k];
      take(path, writer.write_segment(segment));
      progress.update(static_cast<double>(k + 1), static_cast<double>(line.segments.size()));
    }
    take(path, writer.finish(info.num_samples));
    file.commit();
  }

  const GenerateOptions& options_;
  const Warn& warn_;
  runtime::ThreadPool pool_;
  LoadedPrior prior_;
  CodedSong coded_;
  int source_ = 0;
  bool has_tries_ = false, has_tones_ = false;  // of the stretches of the line
  generate::Lines made_;
  std::vector<double> lowered_db_;  // of each line
  // What steers lines: the context and the song's own line as the judge hears them.
  eval::FitContext heard_;
  eval::FitFigures heard_own_;
  // What a report tells.
  std::optional<eval::FitContext> context_;
  eval::FitFigures own_;
  Json report_;
};

}  // namespace

void generate_lines(const GenerateOptions& options, const Warn& warn) {
  check_options(options);
  Maker(options, warn).run();
}

}  // namespace vqcodec::apps
