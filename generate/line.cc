#include "generate/line.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/counter_random.h"
#include "base/error.h"
#include "base/format.h"
#include "codec/code_grid.h"
#include "prior/predictor.h"
#include "runtime/sha256.h"
#include "vqvae/config.h"

namespace vqcodec::generate {

namespace {

using codec::SourceSegment;

constexpr int kSoundingGain = 25;  // -60 dB: below, what separation leaves of other sources
constexpr double kRepetitionSeconds = 8;
constexpr int64_t kFramesAtOnce = 16;                 // between one look at the other threads and the next
constexpr int64_t kMaxCodebooks = 32;                 // of a key for random numbers
constexpr uint64_t kPitchStream = uint64_t{1} << 40;  // beside those of codes

[[noreturn]] void fail(const std::string& what) { throw Error(ExitCode::kUsage, what); }

// The prior's index of every source of the file.
std::vector<int> check_prior(const prior::Model& model, const codec::StreamInfo& info) {
  const prior::Config& config = model.config();
  const std::string model_id = runtime::to_hex(info.model_id);
  if (model_id != config.model_id) {
    throw Error(ExitCode::kModel, "the prior " + runtime::to_hex(model.id()).substr(0, 12) + " is for codes of model " +
                                      config.model_id.substr(0, 12) + ", but the song's are of model " +
                                      model_id.substr(0, 12));
  }
  std::vector<int> sources;
  bool fits = info.codebook_size == static_cast<uint32_t>(config.codebook_size) &&
              info.num_codebooks <= static_cast<uint32_t>(config.num_codebooks);
  for (const std::string& name : info.sources) {
    const auto found = std::ranges::find(config.sources, name);
    fits = fits && found != config.sources.end();
    sources.push_back(static_cast<int>(found - config.sources.begin()));
  }
  if (!fits) {
    throw Error(ExitCode::kBadFile,
                "the song's codes contradict the prior for their model (sources, codebooks or their "
                "size)");
  }
  return sources;
}

// Of every codebook.
std::vector<SamplingOptions> samplings_of(const LineOptions& options, size_t num_codebooks) {
  std::vector<SamplingOptions> samplings(num_codebooks, options.sampling);
  if (options.temperatures.empty()) return samplings;
  if (options.temperatures.size() != num_codebooks) {
    fail(std::to_string(options.temperatures.size()) + " temperatures for " + std::to_string(num_codebooks) +
         " codebooks");
  }
  for (size_t h = 0; h < num_codebooks; ++h) samplings[h].temperature = options.temperatures[h];
  return samplings;
}

// Where the frames of one source sound: gain of every segment, and codes one after another.
struct Track {
  std::vector<uint16_t> codes;  // [num_frames, num_codebooks]
  std::vector<uint8_t> sounds;  // [num_frames]: not silent
};

Track track_of(const Song& song, size_t source) {
  Track track;
  for (const auto& segment : song.segments) {
    const SourceSegment& here = segment[source];
    track.codes.insert(track.codes.end(), here.codes.begin(), here.codes.end());
    track.sounds.insert(track.sounds.end(), here.codes.size() / song.info.num_codebooks, here.gain > 0 ? 1 : 0);
  }
  return track;
}

// Powers by level index, without the C library: every machine must choose the same levels.
struct Powers {
  double of[vqvae::kNumGains];  // relative to index 0; 1.5 dB a step
  Powers() {
    of[0] = 1;
    for (int i = 1; i < vqvae::kNumGains; ++i) of[i] = of[i - 1] * 1.4125375446227544;  // 10^0.15
  }
  // The nearest index.
  int index(double power) const {
    int i = 1;
    while (i < vqvae::kNumGains - 1 && power > of[i] * 1.1885022274370185) ++i;  // 10^0.075
    return i;
  }
};

// Levels of the new line by segment; `is_new`: all of the segment's codes are drawn.
std::vector<uint16_t> choose_gains(const Song& song, size_t source, const std::vector<bool>& is_new, int plain_gain) {
  const Powers powers;
  const size_t num_segments = song.segments.size();
  std::vector<int> others(num_segments);  // level of the other sources together, 0 = silent
  std::vector<int> beside;                // the line's level beside theirs, in steps
  bool all_unit = true, all_silent = true;
  for (size_t k = 0; k < num_segments; ++k) {
    double power = 0;
    for (size_t s = 0; s < song.info.sources.size(); ++s) {
      const int gain = song.segments[k][s].gain;
      if (gain >= vqvae::kNumGains) {
        throw Error(ExitCode::kBadFile, "segment " + std::to_string(k) + " of " + song.info.sources[s] + " has level " +
                                            std::to_string(gain) + ", expected less than " +
                                            std::to_string(vqvae::kNumGains));
      }
      if (gain == 0) continue;
      all_silent = false;
      all_unit = all_unit && gain == vqvae::kUnitGain;
      if (s != source) power += powers.of[gain];
    }
    if (power > 0) others[k] = powers.index(power);
    const int own = song.segments[k][source].gain;
    if (own >= kSoundingGain && others[k] > 0) beside.push_back(own - others[k]);
  }
  int usual = usual_level_steps(song.info.sources[source]);
  if (!beside.empty()) {
    const auto middle = beside.begin() + static_cast<long>(beside.size() / 2);
    std::ranges::nth_element(beside, middle);
    usual = *middle;
  }
  std::vector<uint16_t> gains;
  for (size_t k = 0; k < num_segments; ++k) {
    int gain = song.segments[k][source].gain;
    if (is_new[k] && gain < kSoundingGain) {
      if (all_silent) {
        gain = plain_gain;
      } else if (others[k] == 0) {
        gain = 0;
      } else {
        gain = all_unit ? vqvae::kUnitGain : std::clamp(others[k] + usual, 1, vqvae::kNumGains - 1);
      }
    }
    gains.push_back(static_cast<uint16_t>(gain));
  }
  return gains;
}

// One try of one candidate of one line on its way.
struct Draft {
  uint64_t stream = 0;  // of random numbers
  RepetitionGuard guard;
  std::optional<Tones::Voice> voice{};
  Sampler sampler{};
  std::vector<float> scratch{};
  int64_t num_frames = 0;         // done, what is kept before the passage too
  std::vector<uint16_t> codes{};  // of the passage
  double new_bits = 0, kept_bits = 0;

  // All but where its random numbers come from.
  void go_on_from(const Draft& other) {
    guard = other.guard;
    voice = other.voice;
    codes = other.codes;
    new_bits = other.new_bits;
    kept_bits = other.kept_bits;
  }
};

// All drafts of every `num_tries` go on from the one that is judged best on the frames [from, to); their rows too,
// unless the last of their frames is done.
void keep_best(const Steering& steering, std::vector<Draft>& drafts, prior::Stepper& stepper, int64_t group_rows,
               int64_t begin, int64_t from, int64_t to, bool is_last, runtime::ThreadPool& pool) {
  const auto row_of = [&](size_t draft) { return draft * static_cast<size_t>(group_rows); };
  std::vector<double> scores(drafts.size());
  pool.parallel_for(static_cast<int64_t>(drafts.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto draft = static_cast<size_t>(i);
      scores[draft] = steering.judge(stepper.codes(row_of(draft)), begin, from, to);
    }
  });
  const auto num_tries = static_cast<size_t>(steering.num_tries);
  for (size_t first = 0; first < drafts.size(); first += num_tries) {
    const auto begin_scores = scores.begin() + static_cast<long>(first);
    const auto best = static_cast<size_t>(std::max_element(begin_scores, begin_scores + static_cast<long>(num_tries)) -
                                          scores.begin());
    for (size_t i = first; i < first + num_tries; ++i) {
      if (i == best) continue;
      drafts[i].go_on_from(drafts[best]);
      if (!is_last) stepper.branch(row_of(best), row_of(i));
    }
  }
}

}  // namespace

int64_t Song::num_frames() const {
  int64_t count = 0;
  for (const auto& segment : segments) {
    count += static_cast<int64_t>(segment.empty() ? 0 : segment[0].codes.size() / info.num_codebooks);
  }
  return count;
}

Song silent_song(const codec::StreamInfo& info, int64_t num_frames) {
  Song song{info, {}};
  for (int64_t begin = 0; begin < num_frames; begin += info.segment_frames) {
    const int64_t frames = std::min<int64_t>(info.segment_frames, num_frames - begin);
    SourceSegment silence{0, std::vector<uint16_t>(static_cast<size_t>(frames * info.num_codebooks))};
    song.segments.emplace_back(info.sources.size(), silence);
  }
  return song;
}

void check(const LineOptions& options) {
  check(options.sampling);
  for (const double temperature : options.temperatures) check(SamplingOptions{.temperature = temperature});
  const auto within = [](const char* name, double value, double least, double most) {
    if (value >= least && value <= most) return;
    std::string text;
    append(text, "%s %g: expected %g to %g", name, value, least, most);
    fail(text);
  };
  within("guidance", options.guidance, 0, kMaxGuidance);
  within("repetition penalty", options.repetition_penalty, 0, kMaxRepetitionPenalty);
  within("lines", options.num_lines, 1, kMaxLines);
  within("candidates", options.num_candidates, 1, kMaxCandidates);
  within("tries", options.steering.num_tries, 1, kMaxTries);
  within("tones", options.steering.tone_strength, 0, kMaxToneStrength);
}

int usual_level_steps(const std::string& source) {
  if (source == "bass") return -4;
  if (source == "drums") return -3;
  return -2;
}

Lines make_lines(const std::shared_ptr<const prior::Model>& model, const Song& song, int source, const Passage& passage,
                 const LineOptions& options, int plain_gain, runtime::ThreadPool& pool) {
  const codec::StreamInfo& info = song.info;
  const std::vector<int> prior_sources = check_prior(*model, info);
  check(options);
  const std::vector<SamplingOptions> samplings = samplings_of(options, info.num_codebooks);
  const auto own = static_cast<size_t>(source);
  const int64_t num_frames = song.num_frames(), num_codebooks = info.num_codebooks;
  const int64_t segment_frames = info.segment_frames;
  if (passage.from_frame < 0 || passage.to_frame > num_frames || passage.from_frame >= passage.to_frame)
    fail("the passage is empty or not within the song");

  std::vector<Track> tracks;
  for (size_t s = 0; s < info.sources.size(); ++s) tracks.push_back(track_of(song, s));
  const Track& line = tracks[own];
  const auto sounds = [&](const Track& track, int64_t frame) { return track.sounds[static_cast<size_t>(frame)] != 0; };

  Lines result;
  result.passage = passage;
  int64_t& from = result.passage.from_frame;
  int64_t& to = result.passage.to_frame;
  if (!sounds(line, from)) from = from / segment_frames * segment_frames;
  if (!sounds(line, to - 1)) to = std::min((to + segment_frames - 1) / segment_frames * segment_frames, num_frames);

  // What is heard.
  std::vector<int> listen_to = options.listen_to;
  if (listen_to.empty()) {
    for (int s = 0; s < static_cast<int>(info.sources.size()); ++s) {
      if (s != source) listen_to.push_back(s);
    }
  }
  bool anything = false;
  for (const int s : listen_to) {
    if (s < 0 || s >= static_cast<int>(info.sources.size()) || s == source)
      fail("source " + std::to_string(s) + " cannot be listened to");
    const Track& track = tracks[static_cast<size_t>(s)];
    if (std::ranges::find(track.sounds, 1) == track.sounds.end()) continue;
    result.context.push_back(s);
    anything =
        anything || std::find(track.sounds.begin() + from, track.sounds.begin() + to, 1) != track.sounds.begin() + to;
  }
  anything = anything || std::find(line.sounds.begin() + from, line.sounds.begin() + to, 1) != line.sounds.begin() + to;
  if (!anything && plain_gain == 0) {
    fail(
        "nothing sounds in the passage, so there is nothing to fit a line to; a line that fits nothing can be had "
        "without a context");
  }

  std::vector<bool> is_new;
  for (int64_t k = 0; k < static_cast<int64_t>(song.segments.size()); ++k) {
    is_new.push_back(from <= k * segment_frames && to >= std::min((k + 1) * segment_frames, num_frames));
  }
  const std::vector<uint16_t> gains = choose_gains(song, own, is_new, plain_gain);

  // Frames that the prior goes through: [begin, end).
  int64_t begin = from, end = to;
  const int64_t most_past = 2 * int64_t{model->config().window_frames};
  while (begin > 0 && from - begin < most_past && sounds(line, begin - 1)) --begin;
  const double frames_per_second = static_cast<double>(info.sample_rate_hz) / info.hop_samples;
  const int64_t second = std::max<int64_t>(1, std::llround(frames_per_second));
  while (end < num_frames && end - to < second && sounds(line, end)) ++end;
  const int64_t most_frames = int64_t{codec::kMaxCodesPerStream} / num_codebooks;
  if (end - begin > most_frames) {
    std::string text;
    append(text, "%.1f minutes at once, expected at most %.1f; make the line passage by passage",
           static_cast<double>(end - begin) / frames_per_second / 60,
           static_cast<double>(most_frames) / frames_per_second / 60);
    fail(text);
  }
  result.num_candidates = end > to ? options.num_candidates : 1;
  const bool guided = options.guidance != 1 && !result.context.empty();
  const int64_t group_rows = guided ? 2 : 1;

  prior::Stepper::Row plain_row{prior_sources[own], static_cast<int>(num_codebooks), end - begin, {}};
  prior::Stepper::Row row = plain_row;
  for (const int s : result.context) {
    const Track& track = tracks[static_cast<size_t>(s)];
    row.context.push_back({prior_sources[static_cast<size_t>(s)], static_cast<int>(num_codebooks),
                           std::span(track.codes).subspan(static_cast<size_t>(begin * num_codebooks)),
                           std::span(track.sounds).subspan(static_cast<size_t>(begin))});
  }

  const size_t num_codes = info.codebook_size;
  const auto penalty = static_cast<float>(options.repetition_penalty);
  const auto guidance = static_cast<float>(options.guidance);
  const Steering& steering = options.steering;
  const int num_tries = steering.judge ? steering.num_tries : 1;
  const bool has_tones = steering.tones && steering.choose_pitch && steering.tone_strength > 0;
  const auto tone_strength = static_cast<float>(steering.tone_strength);
  if (has_tones && (steering.tones->num_codebooks() != num_codebooks ||
                    steering.tones->codebook_size() != static_cast<int>(info.codebook_size))) {
    fail("the tones are of other codes than the song's");
  }
  std::vector<int64_t> ends;  // of stretches
  if (num_tries > 1 || has_tones) {
    for (const int64_t frame : steering.ends) {
      if (frame > from && frame < to) ends.push_back(frame);
    }
    ends.push_back(to);
  }
  const int num_drafts = options.num_lines * result.num_candidates * num_tries;
  const int at_once = static_cast<int>(std::max<int64_t>(1, options.max_rows / (group_rows * num_tries))) * num_tries;
  const int num_batches = (num_drafts + at_once - 1) / at_once;
  for (int first = 0; first < num_drafts; first += at_once) {
    std::vector<Draft> drafts;
    std::vector<prior::Stepper::Row> rows;
    for (int i = first; i < std::min(first + at_once, num_drafts); ++i) {
      const int whole = i / num_tries;  // candidates of all lines before this one
      const int number = whole / result.num_candidates, candidate = whole % result.num_candidates;
      drafts.push_back({.stream = static_cast<uint64_t>(i % num_tries) << 32 |
                                  static_cast<uint64_t>(number * kMaxCandidates + candidate),
                        .guard = {second, std::llround(kRepetitionSeconds * frames_per_second)}});
      if (has_tones) drafts.back().voice.emplace(*steering.tones);
      rows.push_back(row);
      if (guided) rows.push_back(plain_row);
    }
    prior::Stepper stepper(model, std::move(rows), pool, group_rows);
    const auto choose = [&](int64_t first_row, int codebook, std::span<float> logits) {
      Draft& draft = drafts[static_cast<size_t>(first_row / group_rows)];
      const int64_t frame = begin + draft.num_frames;
      const std::span<float> heard = logits.first(num_codes);
      uint16_t code = 0;
      if (frame < from || frame >= to) {
        code = line.codes[static_cast<size_t>(frame * num_codebooks + codebook)];
        if (frame >= to) draft.kept_bits += draft.sampler.cost_bits(heard, code);
      } else {
        draft.scratch.assign(heard.begin(), heard.end());
        if (guided) guide(draft.scratch, logits.subspan(num_codes), guidance);
        if (codebook == 0 && penalty > 0) draft.guard.penalize(draft.scratch, penalty);
        if (draft.voice) draft.voice->shape(codebook, draft.scratch, tone_strength);
        const auto item = static_cast<uint64_t>(frame * kMaxCodebooks + codebook);
        code = draft.sampler.draw(draft.scratch, samplings[static_cast<size_t>(codebook)],
                                  CounterRandom(options.seed, draft.stream, item).next());
        if (draft.voice) draft.voice->add(codebook, code);
        draft.codes.push_back(code);
        draft.new_bits += draft.sampler.cost_bits(heard, code);
      }
      if (codebook == 0) draft.guard.append(code);
      if (codebook + 1 == num_codebooks) ++draft.num_frames;
      return code;
    };
    size_t next_end = 0;
    int64_t stretch_from = from;
    const auto begin_stretch = [&] {
      if (!has_tones || next_end == ends.size()) return;
      for (size_t i = 0; i < drafts.size(); ++i) {
        Draft& draft = drafts[i];
        const uint64_t random = CounterRandom(options.seed, draft.stream | kPitchStream, next_end).next();
        draft.voice->play(steering.choose_pitch(stretch_from, ends[next_end], draft.voice->pitch(),
                                                static_cast<int>(i) % num_tries, random));
      }
    };
    const auto num_frames_ahead = [&] {
      if (next_end == ends.size()) return kFramesAtOnce;
      return std::min(kFramesAtOnce, ends[next_end] - begin - stepper.num_frames_done());
    };
    begin_stretch();
    while (stepper.step(choose, num_frames_ahead())) {
      const int64_t reached = begin + stepper.num_frames_done();
      if (next_end < ends.size() && reached == ends[next_end]) {
        if (num_tries > 1)
          keep_best(steering, drafts, stepper, group_rows, begin, stretch_from, reached, reached == end, pool);
        stretch_from = reached;
        ++next_end;
        begin_stretch();
      }
      if (!options.on_progress) continue;
      const double within = static_cast<double>(stepper.num_frames_done()) / static_cast<double>(end - begin);
      const int num_done = first / at_once;
      options.on_progress((num_done + within) / num_batches);
    }
    for (size_t i = 0; i < drafts.size(); i += static_cast<size_t>(num_tries)) {
      const int whole = (first + static_cast<int>(i)) / num_tries;
      const int number = whole / result.num_candidates, candidate = whole % result.num_candidates;
      const double kept = end > to ? drafts[i].kept_bits / static_cast<double>((end - to) * num_codebooks) : 0;
      if (static_cast<size_t>(number) == result.lines.size()) result.lines.emplace_back();
      Line& best = result.lines[static_cast<size_t>(number)];
      if (candidate > 0 && !(kept < best.kept_bits_per_code)) continue;
      best.kept_bits_per_code = kept;
      best.new_bits_per_code = drafts[i].new_bits / static_cast<double>((to - from) * num_codebooks);
      best.candidate = candidate;
      // Until the levels are there, one segment that holds the passage.
      best.segments = {{0, std::move(drafts[i].codes)}};
    }
  }

  for (Line& made : result.lines) {
    const std::vector<uint16_t> drawn = std::move(made.segments[0].codes);
    made.segments.clear();
    for (size_t k = 0; k < song.segments.size(); ++k) {
      SourceSegment segment = song.segments[k][own];
      segment.gain = gains[k];
      const int64_t first_frame = static_cast<int64_t>(k) * segment_frames;
      const int64_t last_frame = first_frame + static_cast<int64_t>(segment.codes.size()) / num_codebooks;
      const int64_t first = std::max(from, first_frame), last = std::min(to, last_frame);
      if (first < last && segment.gain > 0) {
        std::copy(drawn.begin() + (first - from) * num_codebooks, drawn.begin() + (last - from) * num_codebooks,
                  segment.codes.begin() + (first - first_frame) * num_codebooks);
      } else if (segment.gain == 0) {
        std::ranges::fill(segment.codes, uint16_t{0});
      }
      made.segments.push_back(std::move(segment));
    }
  }
  return result;
}

}  // namespace vqcodec::generate
