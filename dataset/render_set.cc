#include "dataset/render_set.h"

#include <time.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "audio/writer.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "runtime/sha256.h"
#include "runtime/thread_pool.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr const char* kFormat = "vqdata render 1";
constexpr size_t kMaxTextBytes = 16 << 20;
constexpr size_t kMaxLicenceText = 200;
constexpr int kFlacLevel = 2;  // writing takes half the time of level 5, for a few percent of size

struct MidiFile {
  std::string path, name;  // `name`: of the song
  std::string licence;
};

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ExitCode::kIo, path + ": cannot be read");
  std::string text(kMaxTextBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) throw Error(ExitCode::kIo, path + ": cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxTextBytes) throw Error(ExitCode::kBadFile, path + ": is over 16 MiB, expected a short text");
  return text;
}

// What a file in the folder says of the licence: licence.json, or the first line of LICENSE, LICENCE or COPYING.
std::string find_licence(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (auto it = fs::directory_iterator(folder.empty() ? "." : folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::string name = it->path().filename().string();
    std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    const bool fits = name.starts_with("licence") || name.starts_with("license") || name.starts_with("copying");
    if (fits && it->is_regular_file(error)) files.push_back(it->path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    if (file.extension() != ".json") continue;
    const json document = json::parse(read_text(file.string()), nullptr, false);
    for (const char* key : {"licence", "license"}) {
      if (document.is_object() && document.contains(key) && document[key].is_string()) return document[key];
    }
  }
  for (const fs::path& file : files) {
    if (file.extension() == ".json") continue;
    std::istringstream lines(read_text(file.string()));
    for (std::string line; std::getline(lines, line);) {
      const size_t begin = line.find_first_not_of(" \t\r"), end = line.find_last_not_of(" \t\r");
      if (begin == std::string::npos) continue;
      return file.filename().string() + ": " + line.substr(begin, std::min(end - begin + 1, kMaxLicenceText));
    }
  }
  return "";
}

std::vector<MidiFile> find_files(const RenderSetOptions& options) {
  std::vector<MidiFile> files;
  for (const std::string& input : options.inputs) {
    std::error_code error;
    if (!fs::is_directory(input, error)) {
      files.push_back({input, fs::path(input).stem().string(), {}});
      continue;
    }
    const size_t before = files.size();
    for (const std::string& file : list_midi_files(input)) {
      std::string name = fs::path(file).replace_extension().string();
      std::ranges::replace(name, '/', '_');
      files.push_back({(fs::path(input) / file).string(), name, {}});
    }
    if (files.size() == before) throw Error(ExitCode::kUsage, input + ": has no .mid or .midi file");
  }
  std::ranges::sort(files, {}, &MidiFile::name);
  for (size_t i = 1; i < files.size(); ++i) {
    if (files[i].name != files[i - 1].name) continue;
    throw Error(ExitCode::kUsage, files[i - 1].path + " and " + files[i].path + " would both be the song \"" +
                                      files[i].name + "\"; rename one, or render them to folders of their own");
  }
  std::map<fs::path, std::string> licences;
  for (MidiFile& file : files) {
    const fs::path folder = fs::path(file.path).parent_path();
    if (!options.licence.empty()) {
      file.licence = options.licence;
    } else {
      const auto [at, is_new] = licences.try_emplace(folder);
      if (is_new) at->second = find_licence(folder);
      file.licence = at->second;
    }
  }
  return files;
}

// All that is the same for every song of the set.
json common_manifest(const RenderSetOptions& options, const FontLibrary& fonts, const GrooveSet* grooves) {
  json all_fonts = json::array();
  for (size_t i = 0; i < fonts.size(); ++i) {
    const FontSpec& spec = fonts.spec(i);
    json presets = json::array();
    for (const Preset& preset : spec.presets) presets.push_back({preset.bank, preset.program});
    all_fonts.push_back({fonts.sha256(i), spec.may_play, spec.weight, presets, spec.round_robin, spec.direct,
                         spec.low_key, spec.high_key, spec.gain_db, spec.licence, spec.attribution});
  }
  const RenderOptions& render = options.render;
  return {{"version", kRendererVersion},
          {"format", options.format},
          {"fonts", all_fonts},
          {"grooves", grooves == nullptr ? "" : grooves->fingerprint()},
          {"singer", render.sing ? options.singer : "none"},
          {"options",
           {render.seed, render.max_seconds, render.max_transpose, render.min_tempo, render.max_tempo,
            render.max_tuning_cents, render.synth_bass_share, render.pulsed_share, render.groove_share,
            render.sing_share}}};
}

class SetRenderer {
 public:
  SetRenderer(const RenderSetOptions& options, const FontLibrary& fonts, const GrooveSet* grooves)
      : options_(options),
        fonts_(fonts),
        grooves_(grooves),
        files_(find_files(options)),
        manifest_(common_manifest(options, fonts, grooves)) {}

  RenderSetReport run() {
    prepare_folder();
    const auto num_variants = static_cast<size_t>(options_.num_variants);
    const size_t num_jobs = files_.size() * num_variants;
    runtime::ThreadPool pool(options_.num_threads);
    size_t num_done = 0;
    pool.parallel_for(static_cast<int64_t>(num_jobs), 1, [&](int64_t begin, int64_t) {
      const auto job = static_cast<size_t>(begin);
      render(files_[job / num_variants], static_cast<int>(job % num_variants) + 1);
      const std::lock_guard lock(mutex_);
      if (options_.on_progress) options_.on_progress(++num_done, num_jobs);
    });
    for (const auto& [name, message] : skipped_) report_.skipped.push_back(message);
    return report_;
  }

 private:
  void prepare_folder() const {
    std::error_code error;
    fs::create_directories(options_.out, error);
    if (error || !fs::is_directory(options_.out)) {
      throw Error(ExitCode::kIo, options_.out + ": cannot be made a folder" + (error ? ": " + error.message() : ""));
    }
    // Before any work, not after half of it.
    for (const MidiFile& file : files_) {
      for (int variant = 1; variant <= options_.num_variants; ++variant) {
        const fs::path folder = folder_of(file, variant);
        if (!fs::exists(folder, error) || is_ours(folder)) continue;
        throw Error(ExitCode::kUsage, folder.string() +
                                          " exists and was not written by vqdata render (it has no "
                                          "song.json of it); move it away or use another folder");
      }
    }
  }

  fs::path folder_of(const MidiFile& file, int variant) const {
    return fs::path(options_.out) / (file.name + "-" + std::to_string(variant));
  }

  static json facts_in(const fs::path& folder) {
    std::ifstream in(folder / "song.json", std::ios::binary);
    return in ? json::parse(in, nullptr, false) : json();
  }

  static bool is_ours(const fs::path& folder) {
    const json facts = facts_in(folder);
    return facts.is_object() && facts.value("format", json()) == kFormat;
  }

  static bool is_whole(const fs::path& folder, const std::string& manifest) {
    const json facts = facts_in(folder);
    if (!facts.is_object() || facts.value("manifest", json()) != manifest) return false;
    const json stems = facts.value("stems", json());
    if (!stems.is_object()) return false;
    for (const json& stem : stems) {
      std::error_code error;
      if (!stem.is_object() || !stem.contains("file") || !stem["file"].is_string()) return false;
      const auto size = fs::file_size(folder / stem["file"].get<std::string>(), error);
      if (error || stem.value("bytes", json()) != size) return false;
    }
    return true;
  }

  void render(const MidiFile& file, int variant) {
    timespec start{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    RenderSource source{file.name, {}, {}};
    const fs::path folder = folder_of(file, variant);
    RenderedSong song;
    try {
      json manifest = manifest_;
      source.midi = read_midi(file.path);
      manifest["midi"] = runtime::to_hex(runtime::sha256_file(file.path));
      manifest["song"] = {file.name, variant, file.licence};
      const std::string annotations = fs::path(file.path).replace_extension(".json").string();
      std::error_code error;
      if (fs::exists(annotations, error)) {
        const std::string text = read_text(annotations);
        // A JSON file beside a MIDI file may be anything.
        const json document = json::parse(text, nullptr, false);
        if (document.is_object() && document.contains("beat_seconds") && document.contains("chords")) {
          source.annotations = annotations_from_json(text, annotations);
          manifest["annotations"] = runtime::hex_digest(text);
        }
      }
      const std::string key = runtime::hex_digest(manifest.dump());
      if (!options_.force && is_whole(folder, key)) {
        const std::lock_guard lock(mutex_);
        ++report_.num_kept;
        return;
      }
      song = render_song(source, variant, fonts_, grooves_, options_.render);
      ordered_json facts = {{"format", kFormat},
                            {"manifest", key},
                            {"song", file.name},
                            {"midi", fs::path(file.path).filename().string()},
                            {"midi_sha256", manifest["midi"]},
                            {"licence", file.licence}};
      facts.update(song.facts);
      song.facts = std::move(facts);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kBadFile) throw;
      std::string message = error.what();
      if (!message.starts_with(file.path)) message = file.path + ": " + message;
      const std::lock_guard lock(mutex_);
      if (skipped_.try_emplace(file.path, message).second && options_.on_remark)
        options_.on_remark(message + "; skipped");
      return;
    }
    write(song, folder);
    timespec end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    const double seconds = static_cast<double>(song.num_frames) / kRenderHz;
    const std::lock_guard lock(mutex_);
    ++report_.num_rendered;
    report_.audio_seconds += seconds;
    report_.thread_seconds +=
        static_cast<double>(end.tv_sec - start.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - start.tv_nsec);
    report_.num_sung += !song.stems[0].left.empty();
    for (size_t group = 0; group < 4; ++group) {
      if (!song.stems[group].left.empty()) report_.stem_seconds[group] += seconds;
    }
  }

  void write(RenderedSong& song, const fs::path& folder) const {
    // Hidden, so that nobody takes it for a song; made anew when an earlier run left one.
    const fs::path partial =
        folder.parent_path() / std::string(".").append(folder.filename().string()).append(".partial");
    std::error_code error;
    fs::remove_all(partial, error);
    if (!fs::create_directory(partial, error)) {
      throw Error(ExitCode::kIo, partial.string() + ": cannot be made: " + error.message());
    }
    try {
      std::vector<float> interleaved;
      for (size_t group = 0; group < 4; ++group) {
        const StereoSamples& stem = song.stems[group];
        if (stem.left.empty()) continue;
        const std::string name = std::string(kRenderGroups[group]) + "." + options_.format;
        const auto writer = audio::AudioWriter::open((partial / name).string(),
                                                     {.sample_rate_hz = kRenderHz, .flac_level = kFlacLevel});
        constexpr size_t kBlockFrames = 65536;
        for (size_t i = 0; i < stem.left.size(); i += kBlockFrames) {
          const size_t count = std::min(kBlockFrames, stem.left.size() - i);
          interleaved.resize(2 * count);
          for (size_t k = 0; k < count; ++k) {
            interleaved[2 * k] = stem.left[i + k];
            interleaved[2 * k + 1] = stem.right[i + k];
          }
          writer->write(interleaved);
        }
        writer->finish();
        ordered_json& levels = song.facts["stems"][kRenderGroups[group]];
        levels["file"] = name;
        levels["bytes"] = fs::file_size(partial / name);
      }
      const std::string text = song.facts.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
      AtomicFile facts((partial / "song.json").string());
      facts.write(text.data(), text.size());
      facts.commit();
      fs::remove_all(folder, error);
      fs::rename(partial, folder, error);
      if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be written: " + error.message());
    } catch (...) {
      fs::remove_all(partial, error);
      throw;
    }
  }

  const RenderSetOptions& options_;
  const FontLibrary& fonts_;
  const GrooveSet* grooves_;
  const std::vector<MidiFile> files_;
  const json manifest_;
  std::mutex mutex_;
  RenderSetReport report_;
  std::map<std::string, std::string> skipped_;  // by file
};

}  // namespace

RenderSetReport render_set(const RenderSetOptions& options, const FontLibrary& fonts, const GrooveSet* grooves) {
  check(options.render);
  if (options.format != "flac" && options.format != "wav") {
    throw Error(ExitCode::kUsage, "the format is \"" + options.format + "\", expected flac or wav");
  }
  if (options.num_variants < 1 || options.num_variants > 10000) {
    throw Error(ExitCode::kUsage,
                "the number of variants is " + std::to_string(options.num_variants) + ", expected 1 to 10000");
  }
  if (options.inputs.empty()) throw Error(ExitCode::kUsage, "no MIDI file or folder is given");
  return SetRenderer(options, fonts, grooves).run();
}

}  // namespace vqcodec::dataset
