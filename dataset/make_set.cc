#include "dataset/make_set.h"

#include <fnmatch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "audio/reader.h"
#include "audio/writer.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/format.h"
#include "dataset/effects.h"
#include "dataset/layout.h"
#include "dataset/midi.h"
#include "dataset/render_grooves.h"
#include "dataset/render_set.h"
#include "dataset/singing.h"
#include "runtime/sha256.h"
#include "runtime/thread_pool.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr const char* kFormat = "vqdata make 1";
// Another number where the same settings give other audio; what the renderer changes is in kRendererVersion.
constexpr int kVersion = 1;
// Packing a song takes about this share of the time that rendering it does.
constexpr double kPackShare = 0.15;
// FLAC of rendered stems and packed Opus against int16; measured, with some to spare.
constexpr double kFlacShare = 0.6, kOpusSpare = 1.1;

struct MidiFile {
  std::string path, name;  // `name`: of the song
  std::string sha256;
  double seconds = 0;  // to the end of the last note that is kept
};

struct StemSong {
  SongFiles files;
  std::string name;  // as a folder's
  double seconds = 0;
};

// One part with all that is found for it.
struct Part {
  const MakePart* spec = nullptr;
  bool is_selected = true;
  PackEncoding encoding = PackEncoding::kOpus;
  double sing_share = 0;
  std::vector<MidiFile> midi;
  std::optional<Layout> layout;
  std::vector<StemSong> stems;
  std::vector<std::string> font_files;  // by MakePart::fonts
  std::string material, grooves;        // folders
  std::string licence;
  std::string manifest;
  PlannedPart plan;
};

bool fits_any(const std::vector<std::string>& patterns, const std::string& name) {
  return std::ranges::any_of(patterns,
                             [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    throw Error(ExitCode::kIo, path + ": cannot be made a folder" + (error ? ": " + error.message() : ""));
  }
}

void write_text(const std::string& path, const std::string& text, bool flush = true) {
  AtomicFile file(path, /*force=*/true);
  file.write(text.data(), text.size());
  file.commit(flush);
}

json read_json(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return in ? json::parse(in, nullptr, false) : json();
}

void write_json(const std::string& path, const ordered_json& document) {
  write_text(path, document.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

// The songs of this file that a part keeps; notes of other groups are taken out.
MidiSong read_groups(const std::string& path, const MakePart& part) {
  MidiSong song = read_midi(path);
  if (part.keeps_all()) return song;
  std::vector<bool> kept;
  for (const MidiNote& note : song.notes) kept.push_back(part.keeps(midi_group(song, note, /*with_melody=*/true)));
  size_t next = 0;
  std::erase_if(song.notes, [&](const MidiNote&) { return !kept[next++]; });
  return song;
}

double end_of_notes(const MidiSong& song) {
  double end = 0;
  for (const MidiNote& note : song.notes) end = std::max(end, note.end_seconds);
  return end;
}

uint64_t folder_bytes(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    const auto size = it->is_regular_file(ignored) ? it->file_size(ignored) : 0;
    if (!ignored) bytes += size;
  }
  return bytes;
}

// "A; B" without anything twice.
std::string join_licences(const std::vector<std::string>& licences) {
  std::string text;
  std::set<std::string> seen;
  for (const std::string& licence : licences) {
    if (!licence.empty() && seen.insert(licence).second) text += (text.empty() ? "" : "; ") + licence;
  }
  return text;
}

// What each sample of a source is of: its files, summed, filtered, at the rate of rendered songs.
class StemReader {
 public:
  StemReader(const std::vector<AudioFile>& files, double high_pass_hz) : files_(files) {
    for (const AudioFile& file : files) readers_.push_back(open_audio(file, kRenderHz));
    if (high_pass_hz > 0) {
      std::vector<Biquad> stages;
      // The quality factors of an eighth-order Butterworth filter: 1 / (2 cos((2k + 1) pi / 16)).
      for (int k = 0; k < 4; ++k) {
        stages.push_back({.kind = Biquad::Kind::kHighPass,
                          .frequency_hz = high_pass_hz,
                          .q = 1 / (2 * std::cos((2 * k + 1) * M_PI / 16))});
      }
      high_pass_.emplace(stages);
    }
  }

  // Interleaved stereo, at most `num_frames`; empty after the end.
  std::span<const float> read(size_t num_frames) {
    block_.assign(2 * num_frames, 0.0f);
    one_.resize(2 * num_frames);
    size_t longest = 0;
    for (size_t i = 0; i < readers_.size(); ++i) {
      size_t count = 0;
      while (count < num_frames) {
        const size_t more = readers_[i]->read(std::span(one_).subspan(2 * count));
        if (more == 0) break;
        count += more;
      }
      const auto gain = static_cast<float>(files_[i].gain);
      for (size_t k = 0; k < 2 * count; ++k) block_[k] += gain * one_[k];
      longest = std::max(longest, count);
    }
    block_.resize(2 * longest);
    if (high_pass_) {
      left_.resize(longest);
      right_.resize(longest);
      for (size_t k = 0; k < longest; ++k) {
        left_[k] = block_[2 * k];
        right_[k] = block_[2 * k + 1];
      }
      high_pass_->process(left_, right_);
      for (size_t k = 0; k < longest; ++k) {
        block_[2 * k] = left_[k];
        block_[2 * k + 1] = right_[k];
      }
    }
    return block_;
  }

 private:
  const std::vector<AudioFile>& files_;
  std::vector<std::unique_ptr<audio::AudioReader>> readers_;
  std::optional<Equalizer> high_pass_;
  std::vector<float> block_, one_, left_, right_;
};

class SetMaker {
 public:
  SetMaker(const MakeConfig& config, const MakeOptions& options) : config_(config), options_(options) {
    check_options();
    for (const MakePart& spec : config.parts) {
      Part& part = parts_.emplace_back();
      part.spec = &spec;
      part.is_selected = options.only.empty() || std::ranges::find(options.only, spec.name) != options.only.end();
      part.encoding = options.encoding.value_or(spec.encoding);
      part.sing_share = options.sing ? spec.render.sing_share : 0;
    }
    find_material();
    for (Part& part : parts_) find_songs(part);
    keep_apart();
    for (Part& part : parts_) {
      if (part.is_selected) plan(part);
    }
  }

  MakePlan plan() const {
    MakePlan result;
    uint64_t most_work = 0;
    for (const Part& part : parts_) {
      if (!part.is_selected) continue;
      result.parts.push_back(part.plan);
      if (part.plan.is_done) continue;
      uint64_t work = part.plan.work_bytes;
      const uint64_t there = folder_bytes(work_folder(part));
      const uint64_t to_write = work > there ? work - there : 0;
      if (options_.keep_songs) {
        result.bytes_needed += to_write;
      } else {
        most_work = std::max(most_work, to_write);
      }
      result.bytes_needed += part.plan.pack_bytes;
    }
    result.bytes_needed += most_work;
    return result;
  }

  MakeReport run() {
    prepare_out();
    check_space();
    for (const Part& part : parts_) {
      if (part.is_selected && !part.plan.is_done) total_seconds_ += (1 + kPackShare) * part.plan.seconds;
    }
    MakeReport report;
    for (Part& part : parts_) {
      if (!part.is_selected) continue;
      report.parts.push_back(part.plan.is_done ? made_part(part, true) : make(part));
      write_summary();
    }
    std::error_code ignored;
    fs::remove(options_.out + "/.work", ignored);  // when it is empty
    report.train_arguments = write_summary();
    return report;
  }

 private:
  std::string work_folder(const Part& part) const { return options_.out + "/.work/" + part.spec->name; }
  std::string pack_folder(const Part& part) const { return options_.out + "/" + part.spec->folder(); }
  std::string part_file(const Part& part) const { return pack_folder(part) + "/part.json"; }

  void remark(const std::string& text) const {
    if (options_.on_remark) options_.on_remark(text);
  }

  void check_options() const {
    for (const std::string& name : options_.only) {
      if (std::ranges::find(config_.parts, name, &MakePart::name) != config_.parts.end()) continue;
      std::string names;
      for (const MakePart& part : config_.parts) names += (names.empty() ? "" : ", ") + part.name;
      throw Error(ExitCode::kUsage, "there is no part \"" + name + "\" in " + config_.path + "; its parts: " + names);
    }
  }

  // What is missing is told of at once, so that it can be gathered at once.
  void find_material() {
    std::vector<std::string> missing;
    std::set<std::string> told;
    const auto miss = [&](const std::string& key, const std::string& what, const std::string& source) {
      if (told.insert(key).second) missing.push_back(key + ": " + what + " is not there; it can be had from " + source);
    };
    std::error_code error;
    bool needs_voices = false;
    for (Part& part : parts_) {
      const auto folder_of = [&](const std::string& name) -> std::string {
        if (name.empty()) return "";
        const MaterialSpec& spec = config_.materials.at(name);
        const std::string path = (fs::path(options_.material) / spec.path).lexically_normal().string();
        if (fs::is_directory(path, error)) return path;
        if (part.is_selected) miss("material \"" + name + "\"", path, spec.source);
        return "";
      };
      part.material = folder_of(part.spec->material);
      if (!part.is_selected) continue;
      part.grooves = folder_of(part.spec->grooves);
      for (const std::string& name : part.spec->fonts) {
        const MakeFont& font = config_.fonts.at(name);
        part.font_files.push_back(find_font(font));
        if (!part.font_files.back().empty()) continue;
        std::string where = font.files[0] + " (looked for in " + options_.material;
        for (const std::string& folder : options_.font_folders) where += ", " + folder;
        miss("font \"" + name + "\"", where + ")", font.source);
      }
      needs_voices |= part.sing_share > 0;
    }
    if (needs_voices) {
      if (Singer::available()) {
        singer_ = std::make_unique<Singer>();
        singer_name_ = "vqcodec";
        for (const auto& voice : singer_->voices()) singer_name_ += " " + voice->name();
      } else {
        missing.push_back("voices: " + Singer::missing() + " (--no-singing does without)");
      }
    }
    if (missing.empty()) return;
    std::string text = config_.path + ": material is missing:";
    for (const std::string& line : missing) text += "\n  " + line;
    throw Error(ExitCode::kIo, text);
  }

  std::string find_font(const MakeFont& font) const {
    std::error_code error;
    for (const std::string& file : font.files) {
      const fs::path own = fs::path(options_.material) / file;
      if (fs::is_regular_file(own, error)) return own.lexically_normal().string();
      for (const std::string& folder : options_.font_folders) {
        const fs::path path = fs::path(folder) / fs::path(file).filename();
        if (fs::is_regular_file(path, error)) return path.string();
      }
    }
    return "";
  }

  const std::string& sha256_of(const std::string& path) {
    std::string& sha256 = sha256_[path];
    if (sha256.empty()) sha256 = runtime::to_hex(runtime::sha256_file(path));
    return sha256;
  }

  void find_songs(Part& part) {
    if (part.spec->kind == PartKind::kCompose || part.material.empty()) return;
    part.spec->kind == PartKind::kStems ? find_stems(part) : find_midi(part);
  }

  void find_stems(Part& part) {
    const MakePart& spec = *part.spec;
    const std::vector<std::string> sources(kRenderGroups.begin(), kRenderGroups.end());
    part.layout = choose_layout(spec.layout, part.material, sources);
    Listing listing = part.layout->list(part.material, sources);
    require_good_metadata(listing);
    std::set<std::string> wanted(spec.songs.begin(), spec.songs.end());
    for (SongFiles& song : listing.songs) {
      const bool is_wanted = spec.songs.empty() || wanted.erase(song.name) > 0;
      if (!is_wanted || fits_any(spec.exclude, song.name)) continue;
      StemSong& stem = part.stems.emplace_back();
      stem.name = song.name;
      std::ranges::replace(stem.name, '/', '_');
      stem.files = std::move(song);
    }
    const std::string where = config_.path + ": part \"" + spec.name + "\": ";
    if (!wanted.empty()) {
      throw Error(ExitCode::kBadFile, where + "there is no song \"" + *wanted.begin() + "\" in " + part.material);
    }
    for (const StemFilter& filter : spec.filters) {
      const auto found = std::ranges::find(part.stems, filter.song, [](const StemSong& song) { return song.files.name; });
      if (found == part.stems.end()) {
        throw Error(ExitCode::kBadFile, where + "a filter is for song \"" + filter.song + "\", which is not in the part");
      }
    }
    if (!part.is_selected) return;
    for (StemSong& song : part.stems) {
      for (const auto& source : song.files.sources) {
        for (const AudioFile& file : source) {
          const int64_t frames = open_audio(file, kRenderHz)->estimated_num_frames();
          song.seconds = std::max(song.seconds, static_cast<double>(frames) / kRenderHz);
        }
      }
      song.seconds = std::min(song.seconds, spec.max_seconds);
    }
  }

  void find_midi(Part& part) {
    const MakePart& spec = *part.spec;
    std::vector<std::string> names = list_midi_files(part.material);
    std::erase_if(names, [&](const std::string& name) {
      return (!spec.include.empty() && !fits_any(spec.include, name)) || fits_any(spec.exclude, name);
    });
    const auto count = static_cast<int64_t>(names.size());
    const auto bound = [&](std::optional<int64_t> at, int64_t open) {
      if (!at) return open;
      return std::clamp(*at < 0 ? *at + count : *at, int64_t{0}, count);
    };
    const int64_t first = bound(spec.slice_first, 0), end = bound(spec.slice_end, count);
    std::map<std::string, std::string> song_of;  // by content
    std::set<std::string> song_names;
    for (int64_t i = first; i < end; ++i) {
      const std::string path = part.material + "/" + names[static_cast<size_t>(i)];
      MidiFile file{path, fs::path(names[static_cast<size_t>(i)]).replace_extension().string(), sha256_of(path), 0};
      std::ranges::replace(file.name, '/', '_');
      const auto [same, is_new] = song_of.try_emplace(file.sha256, file.name);
      if (!is_new) {
        part.plan.left_out.push_back(path + ": is the same file as " + same->second);
        continue;
      }
      if (!song_names.insert(file.name).second) {
        throw Error(ExitCode::kUsage, path + ": another file would be the song \"" + file.name + "\" as well; rename one");
      }
      part.midi.push_back(std::move(file));
    }
    if (part.midi.empty()) {
      throw Error(ExitCode::kBadFile, config_.path + ": part \"" + spec.name + "\": no MIDI file of " + part.material +
                                          " is left by include, exclude and slice");
    }
  }

  // Takes the validation's files out of training.
  void keep_apart() {
    std::map<std::string, std::string> held;  // content of MIDI file -> part
    std::set<std::pair<std::string, std::string>> held_stems;
    for (const Part& part : parts_) {
      if (!part.spec->is_validation) continue;
      for (const MidiFile& file : part.midi) held.emplace(file.sha256, part.spec->name);
      for (const StemSong& song : part.stems) held_stems.emplace(part.material, song.files.name);
    }
    for (Part& part : parts_) {
      if (part.spec->is_validation) continue;
      std::erase_if(part.midi, [&](const MidiFile& file) {
        const auto found = held.find(file.sha256);
        if (found == held.end()) return false;
        part.plan.left_out.push_back(file.path + ": validation part \"" + found->second + "\" has it");
        return true;
      });
      std::erase_if(part.stems, [&](const StemSong& song) {
        if (!held_stems.contains({part.material, song.files.name})) return false;
        part.plan.left_out.push_back(song.files.name + ": a validation part has it");
        return true;
      });
    }
  }

  void measure_midi(Part& part) {
    const MakePart& spec = *part.spec;
    runtime::ThreadPool pool(options_.num_threads);
    std::vector<std::string> damage(part.midi.size());
    pool.parallel_for(static_cast<int64_t>(part.midi.size()), 8, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        try {
          part.midi[i].seconds = end_of_notes(read_groups(part.midi[i].path, spec));
        } catch (const Error& error) {
          if (error.code() != ExitCode::kBadFile) throw;
          damage[i] = error.what();
        }
      }
    });
    std::vector<MidiFile> good;
    for (size_t i = 0; i < damage.size(); ++i) {
      MidiFile& file = part.midi[i];
      if (!damage[i].empty()) {
        part.plan.skipped.push_back(damage[i]);
      } else if (file.seconds <= 0) {
        part.plan.left_out.push_back(file.path + ": has no note of the part's groups");
      } else if (file.seconds < spec.min_seconds) {
        part.plan.left_out.push_back(file.path + ": is shorter than min_seconds");
      } else {
        good.push_back(std::move(file));
      }
    }
    part.midi = std::move(good);
  }

  // Files or composed songs of the part, before variants, whose number stays within max_songs.
  uint64_t num_files(const Part& part) const {
    const uint64_t there = part.spec->kind == PartKind::kCompose ? part.spec->num_composed
                           : part.spec->kind == PartKind::kMidi  ? part.midi.size()
                                                                 : part.stems.size();
    if (options_.max_songs == 0) return there;
    const auto variants = static_cast<uint64_t>(num_variants(part));
    return std::min(there, (options_.max_songs + variants - 1) / variants);
  }

  int num_variants(const Part& part) const {
    if (part.spec->kind == PartKind::kStems) return 1;
    if (options_.max_songs == 0) return part.spec->num_variants;
    return static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(part.spec->num_variants), options_.max_songs));
  }

  void plan(Part& part) {
    const MakePart& spec = *part.spec;
    if (spec.kind == PartKind::kMidi) measure_midi(part);
    const uint64_t count = num_files(part);
    const auto variants = static_cast<uint64_t>(num_variants(part));
    if (count == 0) {
      throw Error(ExitCode::kBadFile, config_.path + ": part \"" + spec.name + "\": no song is left");
    }
    PlannedPart& plan = part.plan;
    plan.part = &spec;
    plan.num_songs = static_cast<size_t>(count * variants);
    double stem_seconds = 0;
    if (spec.kind == PartKind::kStems) {
      part.stems.resize(count);
      for (const StemSong& song : part.stems) {
        plan.seconds += song.seconds;
        for (const auto& source : song.files.sources) stem_seconds += source.empty() ? 0 : song.seconds;
      }
    } else {
      if (spec.kind == PartKind::kMidi) {
        part.midi.resize(count);
        for (const MidiFile& file : part.midi) plan.seconds += std::min(file.seconds, spec.max_seconds);
      } else {
        const double length = (spec.compose.min_seconds + spec.compose.max_seconds) / 2;
        plan.seconds = static_cast<double>(count) * std::min(length, spec.max_seconds);
      }
      plan.seconds *= static_cast<double>(variants);
      const int stems = (part.sing_share > 0 && spec.keeps(MidiGroup::kMelody) ? 1 : 0) +
                        (spec.keeps(MidiGroup::kBass) ? 1 : 0) + (spec.keeps(MidiGroup::kDrums) ? 1 : 0) +
                        (spec.keeps(MidiGroup::kOther) || spec.keeps(MidiGroup::kMelody) ? 1 : 0);
      stem_seconds = stems * plan.seconds;
    }
    constexpr double kPcmBytes = 4.0 * kRenderHz;  // a second of a stem
    plan.work_bytes = static_cast<uint64_t>(kFlacShare * kPcmBytes * stem_seconds);
    const double packed = part.encoding == PackEncoding::kInt16  ? kPcmBytes
                          : part.encoding == PackEncoding::kFlac ? kFlacShare * kPcmBytes
                                                                 : kOpusSpare * spec.opus_bps / 8;
    plan.pack_bytes = static_cast<uint64_t>(packed * stem_seconds);
    set_licence(part);
    set_manifest(part);
    const json made = read_json(part_file(part));
    plan.is_done = made.is_object() && made.value("manifest", json()) == part.manifest &&
                   made.value("complete", json()) == true && shards_are_there(part, made);
    if (plan.is_done) {
      plan.num_songs = made.at("songs").get<size_t>();
      plan.seconds = made.at("seconds").get<double>();
      plan.pack_bytes = made.at("bytes").get<uint64_t>();
      plan.work_bytes = 0;
    }
  }

  bool shards_are_there(const Part& part, const json& made) const {
    uint64_t bytes = 0;
    std::error_code error;
    for (const std::string& path : list_shards(pack_folder(part))) bytes += fs::file_size(path, error);
    return !error && made.value("bytes", json()) == bytes && made.value("songs", json()).is_number_unsigned() &&
           made.value("seconds", json()).is_number();
  }

  void set_licence(Part& part) const {
    const MakePart& spec = *part.spec;
    if (!spec.licence.empty() || spec.kind == PartKind::kStems) {
      part.licence = spec.licence.empty() ? config_.materials.at(spec.material).licence : spec.licence;
    } else {
      part.licence = config_.materials.at(spec.material).licence + " (MIDI)";
    }
    if (spec.kind == PartKind::kStems) return;
    if (!spec.grooves.empty()) part.licence += "; " + config_.materials.at(spec.grooves).licence + " (drum takes)";
    std::vector<std::string> fonts;
    for (const std::string& name : spec.fonts) fonts.push_back(config_.fonts.at(name).licence);
    if (!fonts.empty()) part.licence += "; " + join_licences(fonts) + " (soundfonts)";
  }

  void set_manifest(Part& part) {
    const MakePart& spec = *part.spec;
    json manifest = {{"version", kVersion},
                     {"renderer", spec.kind == PartKind::kStems ? 0 : kRendererVersion},
                     {"part", spec.facts},
                     {"encoding", to_string(part.encoding)},
                     {"opus_bps", part.encoding == PackEncoding::kOpus ? spec.opus_bps : 0},
                     {"licence", part.licence},
                     {"sing_share", part.sing_share},
                     {"singer", part.sing_share > 0 ? singer_name_ : ""},
                     {"max_songs", options_.max_songs}};
    for (size_t i = 0; i < spec.fonts.size(); ++i) {
      manifest["fonts"].push_back({config_.fonts.at(spec.fonts[i]).role_map, sha256_of(part.font_files[i])});
    }
    if (!part.grooves.empty()) {
      for (const std::string& name : list_midi_files(part.grooves)) {
        manifest["grooves"].push_back({name, sha256_of(part.grooves + "/" + name)});
      }
    }
    for (const MidiFile& file : part.midi) manifest["midi"].push_back({file.name, file.sha256});
    for (const StemSong& song : part.stems) {
      json files = json::array();
      for (const auto& source : song.files.sources) {
        json entries = json::array();
        for (const AudioFile& file : source) {
          entries.push_back({sha256_of(file.path), file.stream_index, file.gain});
        }
        files.push_back(entries);
      }
      manifest["stems"].push_back({song.name, files});
    }
    part.manifest = runtime::hex_digest(manifest.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void prepare_out() const {
    std::error_code error;
    const json set = read_json(options_.out + "/set.json");
    const bool is_ours = set.is_object() && set.value("format", json()) == kFormat;
    if (!is_ours && fs::exists(options_.out, error) &&
        !(fs::is_directory(options_.out, error) && fs::is_empty(options_.out, error))) {
      throw Error(ExitCode::kUsage, options_.out +
                                        " exists and was not made by vqdata make (it has no set.json of it); take an "
                                        "empty folder or a new one");
    }
    make_folder(options_.out);
    if (!is_ours) write_json(options_.out + "/set.json", {{"format", kFormat}, {"parts", json::array()}});
  }

  void check_space() const {
    std::error_code error;
    const auto space = fs::space(options_.out, error);
    const uint64_t needed = plan().bytes_needed;
    if (error || needed <= space.available) return;
    std::string text = options_.out + ": about ";
    append(text, "%.1f GB are needed and %.1f GB are free", 1e-9 * static_cast<double>(needed),
           1e-9 * static_cast<double>(space.available));
    throw Error(ExitCode::kIo, text + "; free some, make fewer parts (--only), or pack them as Opus (--encoding opus)");
  }

  void tell_progress(const Part& part, double share) {
    if (options_.on_progress) options_.on_progress(done_seconds_ + share * part.plan.seconds, total_seconds_);
  }

  MadePart make(Part& part) {
    const auto start = std::chrono::steady_clock::now();
    for (const std::string& text : part.plan.skipped) remark(text + "; skipped");
    const std::string work = work_folder(part), songs = work + "/songs";
    make_folder(work);
    std::vector<std::string> skipped = part.plan.skipped;
    size_t num_sung = 0;
    if (part.spec->kind == PartKind::kStems) {
      make_stems(part, songs);
    } else {
      write_midi_files(part, work + "/midi");
      const RenderSetReport report = render(part, work + "/midi", songs);
      skipped.insert(skipped.end(), report.skipped.begin(), report.skipped.end());
      num_sung = report.num_sung;
    }
    remove_strangers(part, songs);
    pack(part, songs, skipped);
    std::error_code error;
    if (options_.keep_songs) {
      fs::remove_all(work + "/midi", error);
    } else {
      fs::remove_all(work, error);
    }
    done_seconds_ += (1 + kPackShare) * part.plan.seconds;
    tell_progress(part, 0);
    MadePart made = made_part(part, false);
    made.num_sung = num_sung;
    made.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return made;
  }

  // Songs that an earlier call with other settings left.
  void remove_strangers(const Part& part, const std::string& songs) const {
    std::set<std::string> expected;
    const auto variants = num_variants(part);
    const auto expect = [&](const std::string& name) {
      for (int variant = 1; variant <= variants; ++variant) expected.insert(name + "-" + std::to_string(variant));
    };
    for (const StemSong& song : part.stems) expected.insert(song.name);
    for (const MidiFile& file : part.midi) expect(file.name);
    for (uint64_t i = 0; part.spec->kind == PartKind::kCompose && i < num_files(part); ++i) {
      expect(composed_name(part.spec->first_composed + i));
    }
    std::error_code error;
    std::vector<fs::path> strangers;
    for (fs::directory_iterator it(songs, error), end; !error && it != end; it.increment(error)) {
      if (!expected.contains(it->path().filename().string())) strangers.push_back(it->path());
    }
    for (const fs::path& path : strangers) fs::remove_all(path, error);
    if (error) throw Error(ExitCode::kIo, songs + ": cannot be tidied: " + error.message());
  }

  static std::string composed_name(uint64_t index) {
    std::string name;
    append(name, "song-%06llu", static_cast<unsigned long long>(index));
    return name;
  }

  // The MIDI files that are rendered, in a folder of their own.
  void write_midi_files(const Part& part, const std::string& folder) const {
    const MakePart& spec = *part.spec;
    std::error_code error;
    fs::remove_all(folder, error);
    make_folder(folder);
    const auto write_song = [&](const std::string& name, const MidiSong& song) {
      const std::vector<uint8_t> bytes = write_midi(song);
      write_text(folder + "/" + name + ".mid", {bytes.begin(), bytes.end()}, /*flush=*/false);
    };
    runtime::ThreadPool pool(options_.num_threads);
    const uint64_t count = num_files(part);
    pool.parallel_for(static_cast<int64_t>(count), 8, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<uint64_t>(begin); i < static_cast<uint64_t>(end); ++i) {
        if (spec.kind == PartKind::kCompose) {
          ComposedSong song = compose_song(spec.render.seed, spec.first_composed + i, spec.compose);
          if (!spec.keeps_all()) {
            std::erase_if(song.midi.notes, [&, &midi = song.midi](const MidiNote& note) {
              return !spec.keeps(midi_group(midi, note, /*with_melody=*/true));
            });
          }
          const std::string name = composed_name(spec.first_composed + i);
          write_text(folder + "/" + name + ".json", annotations_to_json(song.annotations), /*flush=*/false);
          write_song(name, song.midi);
          continue;
        }
        const MidiFile& file = part.midi[i];
        const std::string annotations = fs::path(file.path).replace_extension(".json").string();
        std::error_code code;
        if (fs::is_regular_file(annotations, code)) {
          fs::copy_file(annotations, folder + "/" + file.name + ".json", code);
          if (code) throw Error(ExitCode::kIo, annotations + ": cannot be copied to " + folder + ": " + code.message());
        }
        if (!spec.keeps_all()) {
          write_song(file.name, read_groups(file.path, spec));
          continue;
        }
        fs::copy_file(file.path, folder + "/" + file.name + ".mid", code);
        if (code) throw Error(ExitCode::kIo, file.path + ": cannot be copied to " + folder + ": " + code.message());
      }
    });
  }

  RenderSetReport render(const Part& part, const std::string& midi, const std::string& songs) {
    const MakePart& spec = *part.spec;
    RoleMap map;
    if (!spec.fonts.empty()) {
      json fonts = json::array();
      for (size_t i = 0; i < spec.fonts.size(); ++i) {
        json entry = config_.fonts.at(spec.fonts[i]).role_map;
        entry["file"] = fs::absolute(part.font_files[i]).string();
        fonts.push_back(entry);
      }
      map = parse_role_map(json{{"fonts", fonts}}.dump(), config_.path);
    }
    const FontLibrary library(map.fonts);
    std::unique_ptr<GrooveSet> grooves;
    if (!part.grooves.empty()) {
      grooves = std::make_unique<GrooveSet>(part.grooves, [](const std::string&) {});
    }
    RenderSetOptions options;
    options.inputs = {midi};
    options.out = songs;
    options.num_variants = num_variants(part);
    options.licence = part.licence;
    options.num_threads = options_.num_threads;
    options.render = spec.render;
    options.render.sing_share = part.sing_share;
    if (part.sing_share > 0) {
      options.singer = singer_name_;
      options.render.sing = [this](std::span<const SynthNote> melody, int scale_tonic, uint64_t seed) {
        std::vector<SungNote> notes;
        for (const SynthNote& note : melody) {
          notes.push_back({note.start_seconds, note.seconds, static_cast<double>(note.key), note.velocity});
        }
        VoiceOptions voice = random_voice_options(seed);
        voice.scale_tonic = scale_tonic;
        return singer_->sing(notes, voice, seed);
      };
    }
    options.on_remark = options_.on_remark;
    options.on_progress = [&](size_t done, size_t total) {
      tell_progress(part, static_cast<double>(done) / static_cast<double>(total));
    };
    return render_set(options, library, grooves.get());
  }

  void make_stems(const Part& part, const std::string& songs) {
    make_folder(songs);
    runtime::ThreadPool pool(options_.num_threads);
    std::mutex mutex;
    size_t num_done = 0;
    pool.parallel_for(static_cast<int64_t>(part.stems.size()), 1, [&](int64_t begin, int64_t) {
      std::vector<std::string> remarks;
      make_stem_song(part, part.stems[static_cast<size_t>(begin)], songs, remarks);
      const std::lock_guard lock(mutex);
      for (const std::string& text : remarks) remark(text);
      tell_progress(part, static_cast<double>(++num_done) / static_cast<double>(part.stems.size()));
    });
  }

  void make_stem_song(const Part& part, const StemSong& song, const std::string& songs,
                      std::vector<std::string>& remarks) {
    const fs::path folder = fs::path(songs) / song.name, partial = fs::path(songs) / ("." + song.name + ".partial");
    const json there = read_json((folder / "song.json").string());
    if (there.is_object() && there.value("manifest", json()) == part.manifest) return;
    std::error_code error;
    fs::remove_all(partial, error);
    make_folder(partial.string());
    try {
      for (size_t s = 0; s < song.files.sources.size(); ++s) {
        if (song.files.sources[s].empty()) continue;
        double high_pass_hz = 0;
        for (const StemFilter& filter : part.spec->filters) {
          if (filter.song == song.files.name && filter.source == kRenderGroups[s]) high_pass_hz = filter.high_pass_hz;
        }
        StemReader reader(song.files.sources[s], high_pass_hz);
        const std::string path = (partial / (std::string(kRenderGroups[s]) + ".flac")).string();
        const auto writer = audio::AudioWriter::open(path, {.sample_rate_hz = kRenderHz});
        auto left = static_cast<size_t>(part.spec->max_seconds * kRenderHz);
        constexpr size_t kBlockFrames = 65536;
        while (left > 0) {
          const auto block = reader.read(std::min(left, kBlockFrames));
          if (block.empty()) break;
          writer->write(block);
          left -= block.size() / 2;
        }
        writer->finish();
        if (writer->num_clipped_samples() > 0) {
          remarks.push_back(song.files.name + "/" + kRenderGroups[s] + ": " +
                            std::to_string(writer->num_clipped_samples()) + " samples over full scale are clipped");
        }
      }
      ordered_json facts = {{"format", kFormat}, {"manifest", part.manifest}, {"song", song.files.name},
                            {"licence", part.licence}};
      write_json((partial / "song.json").string(), facts);
      fs::remove_all(folder, error);
      fs::rename(partial, folder, error);
      if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be written: " + error.message());
    } catch (...) {
      fs::remove_all(partial, error);
      throw;
    }
  }

  void pack(const Part& part, const std::string& songs, const std::vector<std::string>& skipped) {
    const std::string folder = pack_folder(part);
    make_folder(folder);
    const json there = read_json(part_file(part));
    if (!there.is_object() || there.value("manifest", json()) != part.manifest) {
      std::error_code error;
      for (const std::string& path : list_shards(folder)) {
        if (!fs::remove(path, error)) throw Error(ExitCode::kIo, path + ": cannot be removed: " + error.message());
      }
    }
    ordered_json facts = {{"format", kFormat},
                          {"complete", false},
                          {"manifest", part.manifest},
                          {"name", part.spec->name},
                          {"split", part.spec->is_validation ? "validation" : "train"}};
    write_json(part_file(part), facts);
    PackOptions options;
    options.layout = "stems";
    options.encoding = part.encoding;
    options.opus_bps = part.spec->opus_bps;
    options.licence = part.licence;
    options.num_threads = options_.num_threads;
    options.on_progress = [&](size_t done, size_t total) {
      tell_progress(part, 1 + kPackShare * static_cast<double>(done) / static_cast<double>(total));
    };
    // Silent stems have no file, and that is no news.
    const PackReport report = pack_songs({songs}, folder, options);
    facts["complete"] = true;
    facts["kind"] = part_kind_name(part.spec->kind);
    facts["weight"] = part.spec->weight;
    facts["encoding"] = to_string(part.encoding);
    facts["songs"] = report.num_songs;
    facts["seconds"] = report.song_seconds;
    for (size_t s = 0; s < kRenderGroups.size(); ++s) {
      facts["seconds_sounding"][kRenderGroups[s]] = report.seconds_sounding[s];
    }
    facts["bytes"] = report.num_bytes;
    facts["licence"] = part.licence;
    facts["materials"] = json::array();
    for (const std::string& name : {part.spec->material, part.spec->grooves}) {
      if (!name.empty()) facts["materials"].push_back(credit(name, config_.materials.at(name)));
    }
    facts["fonts"] = json::array();
    for (const std::string& name : part.spec->fonts) facts["fonts"].push_back(credit(name, config_.fonts.at(name)));
    facts["voices"] = json::array();
    if (part.sing_share > 0) {
      for (const auto& voice : singer_->voices()) facts["voices"].push_back(voice->name());
    }
    facts["skipped"] = skipped;
    write_json(part_file(part), facts);
  }

  template <class Spec>
  static ordered_json credit(const std::string& name, const Spec& spec) {
    return {{"name", name}, {"licence", spec.licence}, {"attribution", spec.attribution}, {"source", spec.source}};
  }

  MadePart made_part(const Part& part, bool was_kept) const {
    const json facts = read_json(part_file(part));
    MadePart made;
    made.name = part.spec->name;
    made.is_validation = part.spec->is_validation;
    made.was_kept = was_kept;
    try {
      made.num_songs = facts.at("songs").get<size_t>();
      made.seconds = facts.at("seconds").get<double>();
      made.num_bytes = facts.at("bytes").get<uint64_t>();
      for (size_t s = 0; s < 4; ++s) {
        made.seconds_sounding[s] = facts.at("seconds_sounding").at(kRenderGroups[s]).get<double>();
      }
      made.skipped = facts.at("skipped").get<std::vector<std::string>>();
    } catch (const json::exception& error) {
      throw Error(ExitCode::kBadFile, part_file(part) + ": is damaged: " + error.what() + "; remove it to make the part anew");
    }
    return made;
  }

  // set.json and ATTRIBUTION.md of all parts that are whole, those of earlier calls too; gives the arguments of vqtrain.
  std::vector<std::string> write_summary() const {
    std::vector<json> parts;
    for (const MakePart& spec : config_.parts) {
      json facts = read_json(options_.out + "/" + spec.folder() + "/part.json");
      if (facts.is_object() && facts.value("complete", json()) == true && facts.contains("materials")) {
        facts["folder"] = spec.folder();
        facts["weight"] = spec.weight;  // may have been changed since
        parts.push_back(std::move(facts));
      }
    }
    std::vector<std::string> arguments;
    ordered_json set = {{"format", kFormat}, {"description", config_.description}, {"parts", json::array()}};
    std::string text = "# Attribution\n\nThis set was made by `vqdata make`. What it is made from:\n";
    std::map<std::string, std::pair<json, std::vector<std::string>>> materials, fonts;
    std::set<std::string> voices;
    std::string table = "\n## Parts\n\n| part | songs | hours | licence |\n|---|---|---|---|\n";
    try {
      for (const json& part : parts) {
        const auto folder = part.at("folder").get<std::string>();
        const double hours = part.at("seconds").get<double>() / 3600;
        const bool is_validation = part.at("split") == "validation";
        set["parts"].push_back({{"folder", folder},
                                {"weight", part.at("weight")},
                                {"songs", part.at("songs")},
                                {"seconds", part.at("seconds")},
                                {"licence", part.at("licence")}});
        append(table, "| `%s` | %zu | %.2f | ", folder.c_str(), part.at("songs").get<size_t>(), hours);
        table += part.at("licence").get<std::string>() + " |\n";
        for (auto [key, list] : {std::pair{"materials", &materials}, std::pair{"fonts", &fonts}}) {
          for (const json& item : part.at(key)) {
            auto& entry = (*list)[item.at("name").get<std::string>()];
            entry.first = item;
            entry.second.push_back(folder);
          }
        }
        for (const json& voice : part.at("voices")) voices.insert(voice.get<std::string>());
        std::string path = options_.out + "/" + folder;
        if (!is_validation && part.at("weight") != 1.0) append(path, "=%g", part.at("weight").get<double>());
        arguments.push_back(is_validation ? "--validation" : "--data");
        arguments.push_back(path);
      }
      for (auto [title, list] : {std::pair{"Material", &materials}, std::pair{"Soundfonts", &fonts}}) {
        if (list->empty()) continue;
        text += std::string("\n## ") + title + "\n\n";
        for (const auto& [name, entry] : *list) {
          const auto attribution = entry.first.at("attribution").get<std::string>();
          text += "- " + (attribution.empty() ? name + "." : attribution);
          text += " Licence: " + entry.first.at("licence").get<std::string>();
          text += ". From " + entry.first.at("source").get<std::string>() + ". In ";
          for (size_t i = 0; i < entry.second.size(); ++i) text += (i > 0 ? ", `" : "`") + entry.second[i] + "`";
          text += ".\n";
        }
      }
    } catch (const json::exception& error) {
      throw Error(ExitCode::kBadFile, options_.out + ": a part.json is damaged: " + error.what() +
                                          "; remove it to make the part anew");
    }
    if (!voices.empty()) {
      text += "\n## Voices\n\nVocals of rendered songs are synthetic: words by text-to-speech programs, sung by the WORLD "
              "vocoder. Voices:";
      for (const std::string& voice : voices) text += " " + voice;
      text += ".\n";
    }
    write_json(options_.out + "/set.json", set);
    write_text(options_.out + "/ATTRIBUTION.md", text + table);
    return arguments;
  }

  const MakeConfig& config_;
  const MakeOptions& options_;
  std::vector<Part> parts_;
  std::map<std::string, std::string> sha256_;  // by path
  std::unique_ptr<Singer> singer_;
  std::string singer_name_;
  double done_seconds_ = 0, total_seconds_ = 0;
};

}  // namespace

MakePlan plan_set(const MakeConfig& config, const MakeOptions& options) { return SetMaker(config, options).plan(); }

MakeReport make_set(const MakeConfig& config, const MakeOptions& options) { return SetMaker(config, options).run(); }

}  // namespace vqcodec::dataset
