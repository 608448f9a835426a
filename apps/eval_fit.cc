// vqeval fit: does a line fit its song?
#include <algorithm>
#include <filesystem>
#include <map>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/song_input.h"
#include "audio/reader.h"
#include "base/counter_random.h"
#include "base/error.h"
#include "base/progress.h"
#include "eval/fit.h"
#include "eval/tracks.h"
#include "prior/train/code_set.h"
#include "runtime/sha256.h"
#include "vqvae/decoder.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using eval::Json;

constexpr int kSampleRateHz = 44100;
constexpr float kFullScale = 0.9999F;
constexpr int64_t kMinClipped = 20;
constexpr double kStuckSeconds = 5;
const std::vector<std::string> kSources = {"vocals", "bass", "drums", "other"};

constexpr const char* kExamples = R"(
SONGS is a song, or a folder of songs: .vqc files, audio files (which are encoded first, so that their sources are those
that the model finds), or tracks as folders of true stems, <track>/{vocals,bass,drums,other}.wav or the like. LINES is
the new line of the song, as audio or as a .vqc with the line in it, or a folder of lines named as the songs:
<song>.wav, <song>-1.wav, <song>-2.wav.

Told are the share of the line's time in tones of the triads that the song plays in each beat (chord_tones), the
strength of the drums under its onsets (beat), and how far it is from the song's own line in register and density and
from the others in tuning; each also on a scale where 0 is the line of another song (--others; of a set the other songs)
and 1 is the song's own, with the range of 95 % of resampled sets. Beside them stand the distance of log-mel frames
(Frechet) and, of lines that are .vqc files, the divergence of the use of codes and the longest run of codes that is in
the training songs too (--training: code sets of vqtrain codes, or .vqc files). docs/GENERATION.md tells more.

Examples:
  vqeval fit --context song.vqc --line bass.wav --others basses/
  vqeval fit --context songs/ --line lines/ --json > fit.json
  vqeval fit --context songs/ --line lines/ --training codes/ --out results/
)";

struct FitOptions {
  std::string context, line, others, out, source, model, prior;
  std::vector<std::string> training;
  bool json = false, quiet = false;
  int max_others = 0, num_resamples = 0;
  uint64_t seed = 0;
};

// Codes of one source, to look for copies.
struct LineCodes {
  int num_codebooks = 0;
  double frames_per_second = 0;
  std::vector<uint16_t> codes;  // [frames, num_codebooks]
  std::vector<uint8_t> sounds;  // [frames]
};

struct LoadedSong {
  std::vector<std::vector<float>> stems;  // by kSources, interleaved stereo
  std::vector<float> own;                 // mono
  std::optional<LineCodes> codes;         // of the song's own line, if it came as codes
};

bool is_song_file(const fs::path& path) {
  static const std::vector<std::string> kExtensions = {".vqc",  ".wav", ".flac", ".mp3", ".ogg",
                                                       ".opus", ".m4a", ".mp4",  ".aif", ".aiff"};
  return std::ranges::find(kExtensions, path.extension().string()) != kExtensions.end();
}

struct SongPlace {
  std::string name;
  fs::path path;
};

std::vector<SongPlace> files_in(const fs::path& folder) {
  std::vector<SongPlace> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_regular_file() && is_song_file(entry.path()))
      files.push_back({entry.path().stem().string(), entry.path()});
  }
  if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be read: " + error.message());
  std::ranges::sort(files, {}, &SongPlace::path);
  return files;
}

// The songs that `path` is or holds.
std::vector<SongPlace> find_songs(const std::string& path) {
  if (!fs::is_directory(path)) return {{fs::path(path).stem().string(), path}};
  std::vector<SongPlace> songs;
  try {
    for (const eval::TrackFolder& track : eval::list_tracks(path, kSources)) songs.push_back({track.name, track.path});
    return songs;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) throw;
  }
  songs = files_in(path);
  if (!songs.empty()) return songs;
  throw Error(ExitCode::kBadFile, path + ": holds no song; expected .vqc or audio files, or folders of stems");
}

// A line of an audio file, mono; `is_clipped`, if any, tells whether it has kMinClipped samples or more at full scale.
std::vector<float> read_mono(const std::string& path, bool* is_clipped = nullptr) {
  const auto reader = audio::AudioReader::open(path, {.sample_rate_hz = kSampleRateHz, .downmix = true});
  std::vector<float> block(2 * 65536), mono;
  int64_t num_clipped = 0;
  while (const size_t count = reader->read(block)) {
    const auto samples = std::span<const float>(block).first(2 * count);
    num_clipped += std::ranges::count_if(samples, [](float value) { return std::abs(value) > kFullScale; });
    const auto part = eval::to_mono(samples);
    mono.insert(mono.end(), part.begin(), part.end());
  }
  if (is_clipped != nullptr) *is_clipped = num_clipped >= kMinClipped;
  return mono;
}

// Whether a line has one code of the first codebook for kStuckSeconds without a break where it sounds.
bool is_stuck(const LineCodes& line) {
  int64_t run = 0;
  for (size_t t = 0; t < line.sounds.size(); ++t) {
    const auto code = [&](size_t frame) { return line.codes[frame * static_cast<size_t>(line.num_codebooks)]; };
    run = line.sounds[t] == 0 ? 0 : t > 0 && line.sounds[t - 1] != 0 && code(t) == code(t - 1) ? run + 1 : 1;
    if (static_cast<double>(run) > kStuckSeconds * line.frames_per_second) return true;
  }
  return false;
}

class FitReport {
 public:
  FitReport(const FitOptions& options, runtime::ThreadPool& pool)
      : options_(options),
        pool_(pool),
        own_(static_cast<size_t>(std::ranges::find(kSources, options.source) - kSources.begin())),
        warn_([this](const std::string& remark) { remarks_.push_back(remark); }) {}

  Json make(Json report) {
    const std::vector<SongPlace> songs = find_songs(options_.context);
    const std::vector<std::vector<std::string>> lines = find_lines(songs);
    std::vector<std::pair<std::string, std::vector<float>>> other_lines;
    if (!options_.others.empty()) {
      for (const SongPlace& place : find_songs(options_.others)) {
        // A folder of lines alone, or of songs of which the line is taken.
        if (fs::is_directory(place.path) || is_vqc(place.path.string())) {
          other_lines.emplace_back(place.name, load(place).own);
        } else {
          other_lines.emplace_back(place.name, read_mono(place.path.string()));
        }
      }
    }
    std::vector<eval::FitSong> fits;
    std::vector<eval::FitContext> contexts;
    std::vector<std::vector<float>> own, made;
    std::vector<LineCodes> own_codes, made_codes;
    int num_clipped = 0;
    Progress progress("fit", options_.quiet);
    for (size_t i = 0; i < songs.size(); ++i) {
      progress.update(static_cast<double>(i), static_cast<double>(songs.size()));
      try {
        LoadedSong song = load(songs[i]);
        eval::FitContext context = eval::analyse_context(song.stems, kSources, options_.source, kSampleRateHz);
        eval::FitSong fit{songs[i].name, measure(context, song.own), {}, {}, {}};
        for (const std::string& path : lines[i]) {
          std::vector<float> line;
          if (is_vqc(path)) {
            LoadedSong with_line = load({songs[i].name, path});
            line = std::move(with_line.own);
            made_codes.push_back(std::move(*with_line.codes));
          } else {
            bool is_clipped = false;
            line = read_mono(path, &is_clipped);
            num_clipped += is_clipped;
          }
          fit.lines.push_back(measure(context, line));
          fit.files.push_back(fs::path(path).filename().string());
          made.push_back(std::move(line));
        }
        if (song.codes) own_codes.push_back(std::move(*song.codes));
        own.push_back(std::move(song.own));
        contexts.push_back(std::move(context));
        fits.push_back(std::move(fit));
      } catch (const Error& error) {
        // One song that cannot be read does not keep a set from being measured.
        if (songs.size() == 1 || (error.code() != ExitCode::kBadFile && error.code() != ExitCode::kIo)) throw;
        remarks_.push_back(songs[i].name + ": left out: " + error.what());
      }
    }
    if (fits.empty()) throw Error(ExitCode::kBadFile, options_.context + ": no song can be measured; " + remarks_[0]);
    for (size_t i = 0; i < fits.size(); ++i) add_others(fits, contexts[i], i, own, other_lines);

    report["settings"] = {{"source", options_.source},
                          {"seed", options_.seed},
                          {"max_others", options_.max_others},
                          {"resamples", options_.num_resamples}};
    report.update(eval::fit_json(fits, options_.num_resamples, options_.seed));
    int num_silent = 0, num_lines = 0;
    for (const eval::FitSong& fit : fits) {
      num_lines += static_cast<int>(fit.lines.size());
      num_silent += static_cast<int>(std::ranges::count_if(fit.lines, [](const eval::FitFigures& figures) {
        return !(figures.level_db > kSilentDb);
      }));
    }
    report["num_lines"] = num_lines;
    report["silent_lines"] = num_silent;
    report["clipped_lines"] = num_clipped;
    report["stuck_lines"] = {{"line", std::ranges::count_if(made_codes, is_stuck)},
                             {"own", std::ranges::count_if(own_codes, is_stuck)}};
    report["distances"] = distances(own, made, other_lines, own_codes, made_codes);
    report["remarks"] = remarks_;
    return report;
  }

 private:
  static constexpr double kSilentDb = -60;

  eval::FitFigures measure(const eval::FitContext& context, std::span<const float> line) const {
    return eval::measure_fit(context, line, kSampleRateHz, options_.source);
  }

  // The lines of every song. A song without one serves as another for the rest.
  std::vector<std::vector<std::string>> find_lines(const std::vector<SongPlace>& songs) {
    std::vector<std::vector<std::string>> lines(songs.size());
    if (!fs::is_directory(options_.line)) {
      if (songs.size() > 1) {
        throw Error(ExitCode::kUsage, "--line is one file, but --context holds " + std::to_string(songs.size()) +
                                          " songs; give a folder with a line for each");
      }
      lines[0] = {options_.line};
      return lines;
    }
    const std::vector<SongPlace> files = files_in(options_.line);
    for (size_t i = 0; i < songs.size(); ++i) {
      for (const SongPlace& file : files) {
        const std::string& name = songs[i].name;
        const bool numbered = file.name.starts_with(name + "-") && file.name.size() > name.size() + 1 &&
                              std::all_of(file.name.begin() + static_cast<long>(name.size()) + 1, file.name.end(),
                                          [](char c) { return c >= '0' && c <= '9'; });
        if (file.name == name || numbered) lines[i].push_back(file.path.string());
      }
      if (lines[i].empty()) remarks_.push_back(songs[i].name + ": no line of it in " + options_.line);
    }
    if (remarks_.size() < songs.size()) return lines;
    const std::string& name = songs[0].name;
    throw Error(ExitCode::kBadFile, options_.line + ": holds no line of " + name + " or any other song; expected " +
                                        name + ".wav, .flac or .vqc, or " + name + "-1.wav");
  }

  LoadedSong load(const SongPlace& place) {
    LoadedSong song;
    if (fs::is_directory(place.path)) {
      eval::Track track = eval::read_track({place.name, place.path}, kSources, {.sample_rate_hz = kSampleRateHz});
      song.stems = std::move(track.stems);
    } else {
      CodedSong coded = read_song(place.path.string(), {options_.model, options_.prior, 0, true}, pool_, warn_);
      const codec::StreamInfo& info = coded.song.info;
      if (info.sources != kSources || info.sample_rate_hz != kSampleRateHz)
        throw Error(ExitCode::kBadFile, place.path.string() + ": expected vocals, bass, drums and other at 44.1 kHz");
      LineCodes codes{static_cast<int>(info.num_codebooks),
                      static_cast<double>(info.sample_rate_hz) / info.hop_samples,
                      {},
                      {}};
      for (const auto& segment : coded.song.segments) {
        const codec::SourceSegment& line = segment[own_];
        codes.codes.insert(codes.codes.end(), line.codes.begin(), line.codes.end());
        codes.sounds.insert(codes.sounds.end(), line.codes.size() / info.num_codebooks, line.gain > 0 ? 1 : 0);
      }
      song.codes = std::move(codes);
      const auto num_samples = static_cast<size_t>(info.num_samples);
      song.stems = eval::decode_sources(coded.model.model, {info, std::move(coded.song.segments)}, pool_);
      for (auto& stem : song.stems) stem.resize(2 * num_samples);
    }
    song.own = eval::to_mono(song.stems[own_]);
    return song;
  }

  // Lines of other songs in the place of song i's, begun again where they are too short.
  void add_others(std::vector<eval::FitSong>& fits, const eval::FitContext& context, size_t i,
                  const std::vector<std::vector<float>>& own,
                  const std::vector<std::pair<std::string, std::vector<float>>>& other_lines) const {
    std::vector<const std::vector<float>*> choices;
    for (const auto& [name, line] : other_lines) {
      if (name != fits[i].name) choices.push_back(&line);
    }
    for (size_t k = 0; other_lines.empty() && k < own.size(); ++k) {
      if (k != i) choices.push_back(&own[k]);
    }
    std::erase_if(choices, [](const std::vector<float>* line) {
      return std::ranges::none_of(*line, [](float value) { return std::abs(value) > 1e-3F; });
    });
    CounterRandom random(options_.seed, 1, i);
    while (!choices.empty() && fits[i].others.size() < static_cast<size_t>(options_.max_others)) {
      const size_t at = random.below(choices.size());
      std::vector<float> line;
      const auto wanted = static_cast<size_t>(context.seconds * kSampleRateHz);
      while (line.size() < wanted) line.insert(line.end(), choices[at]->begin(), choices[at]->end());
      fits[i].others.push_back(measure(context, line));
      choices.erase(choices.begin() + static_cast<long>(at));
    }
  }

  Json distances(const std::vector<std::vector<float>>& own, const std::vector<std::vector<float>>& made,
                 const std::vector<std::pair<std::string, std::vector<float>>>& other_lines,
                 const std::vector<LineCodes>& own_codes, const std::vector<LineCodes>& made_codes) {
    Json result = Json::object();
    result["mel_frechet"] = {{"line", eval::number_or_null(eval::mel_frechet_distance(made, own, kSampleRateHz))}};
    if (!other_lines.empty()) {
      std::vector<std::vector<float>> others;
      others.reserve(other_lines.size());
      for (const auto& item : other_lines) others.push_back(item.second);
      result["mel_frechet"]["other"] = eval::number_or_null(eval::mel_frechet_distance(others, own, kSampleRateHz));
    }
    if (!own_codes.empty() && !made_codes.empty()) {
      Json bits = Json::array();
      const int num_codebooks = std::min(own_codes[0].num_codebooks, made_codes[0].num_codebooks);
      double sum = 0;
      for (int h = 0; h < num_codebooks; ++h) {
        const auto count = [&](const std::vector<LineCodes>& lines) {
          std::vector<int64_t> counts(65536);
          for (const LineCodes& line : lines) {
            for (size_t t = 0; t < line.sounds.size(); ++t) {
              if (line.sounds[t] != 0)
                ++counts[line.codes[t * static_cast<size_t>(line.num_codebooks) + static_cast<size_t>(h)]];
            }
          }
          return counts;
        };
        bits.push_back(eval::number_or_null(eval::jensen_shannon_bits(count(own_codes), count(made_codes))));
        sum += bits.back().is_null() ? 0 : bits.back().get<double>();
      }
      result["code_divergence_bits"] = {{"line", sum / num_codebooks}};
      result["code_divergence_bits_by_codebook"] = bits;
    }
    if (!options_.training.empty()) {
      result["longest_shared_run_frames"] = {{"line", longest_runs(made_codes)}, {"own", longest_runs(own_codes)}};
    }
    return result;
  }

  // Of each line the longest run that it shares with the training songs; null without codes.
  Json longest_runs(const std::vector<LineCodes>& lines) {
    if (lines.empty()) return nullptr;
    std::vector<eval::CopyFinder> finders;
    finders.reserve(lines.size());
    for (const LineCodes& line : lines)
      finders.emplace_back(eval::copy_keys(line.codes, line.num_codebooks, line.sounds));
    int64_t longest = 0;
    for (const std::vector<uint32_t>& keys : training_keys()) {
      for (const eval::CopyFinder& finder : finders) longest = std::max(longest, finder.longest_run(keys));
    }
    return static_cast<double>(longest);
  }

  const std::vector<std::vector<uint32_t>>& training_keys() {
    if (!training_.empty()) return training_;
    for (const std::string& path : options_.training) {
      if (!fs::is_directory(path)) {
        const LoadedSong song = load({fs::path(path).stem().string(), path});
        if (!song.codes) continue;
        training_.push_back(eval::copy_keys(song.codes->codes, song.codes->num_codebooks, song.codes->sounds));
        continue;
      }
      const prior::train::CodeSet set = prior::train::load_code_set(path);
      const auto at = std::ranges::find(set.info.sources, options_.source);
      if (at == set.info.sources.end())
        throw Error(ExitCode::kUsage, path + ": its songs have no source " + options_.source);
      const auto source = static_cast<int64_t>(at - set.info.sources.begin());
      for (const prior::train::CodeSong& song : set.songs) {
        const int64_t size = song.num_frames * set.info.num_codebooks;
        const int64_t num_segments = (song.num_frames + set.info.segment_frames - 1) / set.info.segment_frames;
        std::vector<uint8_t> sounds;
        for (int64_t t = 0; t < song.num_frames; ++t) {
          sounds.push_back(
              song.gains[static_cast<size_t>(source * num_segments + t / set.info.segment_frames)] > 0 ? 1 : 0);
        }
        training_.push_back(eval::copy_keys(
            std::span(song.codes).subspan(static_cast<size_t>(source * size), static_cast<size_t>(size)),
            set.info.num_codebooks, sounds));
      }
    }
    return training_;
  }

  const FitOptions& options_;
  runtime::ThreadPool& pool_;
  size_t own_;
  std::vector<std::string> remarks_;
  Warn warn_;
  std::vector<std::vector<uint32_t>> training_;
};

}  // namespace

int run_eval_fit(const std::vector<std::string>& arguments) {
  Command command("vqeval", "fit --context SONGS --line LINES [options]", 0, kExamples);
  auto add = command.options.add_options();
  add("context", po::value<std::string>(), "song, or folder of songs");
  add("line", po::value<std::string>(), "new line, or folder of lines");
  add("others", po::value<std::string>(),
      "folder of other songs or of their lines; of a set its other songs if not given");
  add("source", po::value<std::string>()->default_value("bass"), "whose line it is: bass, drums, other or vocals");
  add("training", po::value<std::vector<std::string>>(),
      "code set or .vqc in which to look for copies; may be given more than once");
  add("model", po::value<std::string>(), kModelHelp);
  add("prior", po::value<std::string>(), "prior of .vqc files; otherwise it is looked for where priors are installed");
  add("max-others", po::value<int>()->default_value(8), "lines of other songs to put in the place of each line");
  add("resamples", po::value<int>()->default_value(2000), "sets drawn for the ranges");
  add("seed", po::value<uint64_t>()->default_value(1), "of the draws");
  add("out", po::value<std::string>(), "folder to write fit.json to; it is made if it is not there");
  add("json", "print JSON instead of tables");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the result");
  add("quiet", "no progress, and with --out no tables");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  FitOptions options;
  options.context = text(values, "context");
  options.line = text(values, "line");
  options.others = text(values, "others");
  options.source = text(values, "source");
  options.out = text(values, "out");
  options.model = text(values, "model");
  options.prior = text(values, "prior");
  if (flag(values, "training")) options.training = values["training"].as<std::vector<std::string>>();
  options.json = flag(values, "json");
  options.quiet = flag(values, "quiet");
  options.max_others = values["max-others"].as<int>();
  options.num_resamples = values["resamples"].as<int>();
  options.seed = values["seed"].as<uint64_t>();
  if (options.context.empty())
    throw Error(ExitCode::kUsage, "the song is missing (--context); see " + command.help_hint());
  if (options.line.empty()) throw Error(ExitCode::kUsage, "the line is missing (--line); see " + command.help_hint());
  if (std::ranges::find(kSources, options.source) == kSources.end())
    throw Error(ExitCode::kUsage, "--source " + options.source + ": expected bass, drums, other or vocals");
  if (options.max_others < 1 || options.max_others > 1000)
    throw Error(ExitCode::kUsage, "--max-others: expected 1 to 1000");
  if (options.num_resamples < 0 || options.num_resamples > 100000)
    throw Error(ExitCode::kUsage, "--resamples: expected 0 to 100000");
  runtime::ThreadPool pool(threads(values));
  if (!options.out.empty()) make_folder(options.out);
  const Json report = FitReport(options, pool)
                          .make(eval::report_header("fit", VQCODEC_VERSION, command_words("vqeval fit", arguments)));
  if (!options.out.empty()) eval::write_text_file(fs::path(options.out) / "fit.json", eval::json_text(report));
  if (options.json) {
    print(eval::json_text(report));
  } else if (options.out.empty() || !options.quiet) {
    print(eval::fit_text(report));
  }
  return 0;
}

}  // namespace vqcodec::apps
