#include "dataset/render_fonts.h"

#include <fluidsynth.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runtime/sha256.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::array<const char*, kNumRoles> kRoleNames = {"drums",   "bass",  "guitar", "keys",  "mallets", "organ",
                                                           "strings", "brass", "winds",  "synth", "rest"};
constexpr int kDrumBank = 128;
constexpr int kLastKit = 47;      // programs from 48 on are an orchestra's percussion and sound effects
constexpr int kBlockFrames = 64;  // FluidSynth renders no less at once
constexpr int kPolyphony = 256;
constexpr double kMaxTailSeconds = 12;
constexpr size_t kMaxMapBytes = 4 << 20;
constexpr size_t kMaxFonts = 1000;

// What FluidSynth last complained of on this thread.
thread_local std::string last_complaint;

void keep_complaint(int, const char* message, void*) {
  // The first is the cause; those after it tell that nothing came of it.
  if (last_complaint.empty()) last_complaint = message;
}

void ignore_message(int, const char*, void*) {}

struct DeleteSettings {
  void operator()(fluid_settings_t* settings) const { delete_fluid_settings(settings); }
};
struct DeleteSynth {
  void operator()(fluid_synth_t* synth) const { delete_fluid_synth(synth); }
};
using Settings = std::unique_ptr<fluid_settings_t, DeleteSettings>;
using Synth = std::unique_ptr<fluid_synth_t, DeleteSynth>;

// FluidSynth looks samples up in a list that all synthesizers share, behind a lock of its own; its other parts that are
// read while fonts are loaded are not documented as safe, and loading is short.
std::mutex& loading_mutex() {
  static std::mutex mutex;
  return mutex;
}

struct OwnedSynth {
  Settings settings{new_fluid_settings()};
  Synth synth;

  OwnedSynth() {
    if (settings == nullptr) throw Error(ExitCode::kInternal, "FluidSynth gives no settings");
    for (const auto& [name, value] : {std::pair<const char*, int>{"synth.reverb.active", 0},
                                      {"synth.chorus.active", 0},
                                      {"synth.dynamic-sample-loading", 0},
                                      {"synth.lock-memory", 0},
                                      {"synth.threadsafe-api", 0},
                                      {"synth.polyphony", kPolyphony},
                                      {"synth.cpu-cores", 1}}) {
      fluid_settings_setint(settings.get(), name, value);
    }
    fluid_settings_setnum(settings.get(), "synth.sample-rate", 44100);
    fluid_settings_setnum(settings.get(), "synth.gain", 0.3);
    synth.reset(new_fluid_synth(settings.get()));
    if (synth == nullptr) throw Error(ExitCode::kInternal, "FluidSynth gives no synthesizer");
  }

  int load(const std::string& file) {
    last_complaint.clear();
    const std::lock_guard lock(loading_mutex());
    return fluid_synth_sfload(synth.get(), file.c_str(), 0);
  }
};

// FluidSynth's own loader would try what is no soundfont as other formats, and tells less.
void check_header(const std::string& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  std::array<unsigned char, 12> header{};
  if (error || !in) throw Error(ExitCode::kIo, file + ": the soundfont cannot be read");
  in.read(reinterpret_cast<char*>(header.data()), header.size());
  const std::string text(header.begin(), header.end());
  if (in.gcount() < 12 || !text.starts_with("RIFF") || text.substr(8) != "sfbk") {
    throw Error(ExitCode::kBadFile,
                file + ": is no soundfont (expected RIFF at byte 0 and sfbk at byte 8: an .sf2 or .sf3 file)");
  }
  const uint64_t told = header[4] | header[5] << 8 | header[6] << 16 | static_cast<uint64_t>(header[7]) << 24;
  if (told + 8 > size) {
    throw Error(ExitCode::kBadFile, file + ": the soundfont is cut short: it has " + std::to_string(size) +
                                        " bytes of the " + std::to_string(told + 8) + " that its header tells of");
  }
}

// ---- role maps

struct MapReader {
  const std::string& where;

  [[noreturn]] void fail(const std::string& path, const std::string& expected) const {
    throw Error(ExitCode::kBadFile, where + ": " + path + ": expected " + expected);
  }

  void check_keys(const json& object, const std::string& path, std::initializer_list<const char*> known) const {
    if (!object.is_object()) fail(path, "an object");
    for (const auto& [key, value] : object.items()) {
      if (std::ranges::find(known, key) != known.end()) continue;
      std::string all;
      for (const char* name : known) all += (all.empty() ? "" : ", ") + std::string(name);
      fail(path + "." + key, "one of the keys " + all);
    }
  }

  double number(const json& object, const std::string& path, const char* key, double otherwise, double minimum,
                double maximum) const {
    if (!object.contains(key)) return otherwise;
    const json& value = object[key];
    if (!value.is_number() || !(value.get<double>() >= minimum && value.get<double>() <= maximum)) {
      char text[64];
      std::snprintf(text, sizeof text, "a number from %g to %g", minimum, maximum);
      fail(path + "." + key, text);
    }
    return value.get<double>();
  }

  int integer(const json& value, const std::string& path, int minimum, int maximum) const {
    if (!value.is_number_integer() || value.get<double>() < minimum || value.get<double>() > maximum) {
      fail(path, "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum));
    }
    return value.get<int>();
  }

  std::string string(const json& value, const std::string& path) const {
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) fail(path, "a text");
    return value.get<std::string>();
  }

  bool boolean(const json& object, const std::string& path, const char* key) const {
    if (!object.contains(key)) return false;
    if (!object[key].is_boolean()) fail(path + "." + key, "true or false");
    return object[key].get<bool>();
  }

  std::string file(const json& value, const std::string& path) const {
    const fs::path folder = fs::path(where).parent_path();
    std::vector<std::string> files;
    if (value.is_array() && !value.empty()) {
      for (size_t i = 0; i < value.size(); ++i) {
        files.push_back((folder / string(value[i], path + "[" + std::to_string(i) + "]")).string());
      }
    } else {
      files.push_back((folder / string(value, path)).string());
    }
    std::error_code error;
    for (const std::string& name : files) {
      if (fs::exists(name, error)) return name;
    }
    return files[0];  // told of when it is opened
  }
};

bool add_role(const std::string& name, std::array<bool, kNumRoles>& roles) {
  for (size_t i = 0; i < kNumRoles; ++i) {
    const bool is_other = static_cast<Role>(i) != Role::kDrums && static_cast<Role>(i) != Role::kBass;
    if (name == kRoleNames[i] || name == "all" || (name == "other" && is_other)) roles[i] = true;
  }
  return name == "all" || name == "other" || std::ranges::find(kRoleNames, name) != kRoleNames.end();
}

std::string all_role_names() {
  std::string names;
  for (const char* name : kRoleNames) names += std::string(name) + ", ";
  return names + "other, all";
}

FontSpec read_font(const MapReader& reader, const json& object, const std::string& path) {
  reader.check_keys(object, path,
                    {"file", "roles", "weight", "presets", "round_robin", "direct", "low_key", "high_key", "gain_db",
                     "licence", "attribution"});
  FontSpec spec;
  if (!object.contains("file")) reader.fail(path + ".file", "a soundfont");
  spec.file = reader.file(object["file"], path + ".file");
  spec.may_play.fill(!object.contains("roles"));
  if (object.contains("roles")) {
    const json& roles = object["roles"];
    if (!roles.is_array() || roles.empty()) reader.fail(path + ".roles", "a list of roles");
    for (const json& role : roles) {
      if (!role.is_string() || !add_role(role.get<std::string>(), spec.may_play)) {
        reader.fail(path + ".roles", "roles of these: " + all_role_names());
      }
    }
  }
  spec.weight = reader.number(object, path, "weight", 1, 0, 1000);
  if (spec.weight <= 0) reader.fail(path + ".weight", "more than 0");
  if (object.contains("presets")) {
    const json& presets = object["presets"];
    if (!presets.is_array() || presets.empty()) reader.fail(path + ".presets", "a list of [bank, program]");
    for (size_t i = 0; i < presets.size(); ++i) {
      const std::string at = path + ".presets[" + std::to_string(i) + "]";
      if (!presets[i].is_array() || presets[i].size() != 2) reader.fail(at, "[bank, program]");
      spec.presets.push_back(
          {reader.integer(presets[i][0], at + "[0]", 0, 16383), reader.integer(presets[i][1], at + "[1]", 0, 127)});
    }
  }
  spec.round_robin = reader.boolean(object, path, "round_robin");
  if (spec.round_robin && spec.presets.size() < 2) {
    reader.fail(path + ".round_robin", "two or more \"presets\" beside it");
  }
  spec.direct = reader.boolean(object, path, "direct");
  if (object.contains("low_key")) spec.low_key = reader.integer(object["low_key"], path + ".low_key", 0, 127);
  if (object.contains("high_key")) spec.high_key = reader.integer(object["high_key"], path + ".high_key", 0, 127);
  if (spec.high_key < spec.low_key + 11) reader.fail(path + ".high_key", "at least low_key + 11, an octave");
  spec.gain_db = reader.number(object, path, "gain_db", 0, -40, 40);
  if (object.contains("licence")) spec.licence = reader.string(object["licence"], path + ".licence");
  if (object.contains("attribution")) spec.attribution = reader.string(object["attribution"], path + ".attribution");
  return spec;
}

// First programs of the families; the last of one is before the first of the next.
constexpr int kFamilies[] = {0,   4,   6,   8,   11,  14,  16,  21,  24,  26,  29,  31,  32,  40,  44,  45,  46,
                             47,  48,  52,  55,  56,  61,  64,  68,  72,  80,  88,  96,  104, 108, 109, 112, 113,
                             114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128};

}  // namespace

const char* role_name(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

Role role_of_program(int program) {
  constexpr std::array<Role, 16> kByEight = {Role::kKeys,  Role::kMallets, Role::kOrgan,   Role::kGuitar,
                                             Role::kBass,  Role::kStrings, Role::kStrings, Role::kBrass,
                                             Role::kWinds, Role::kWinds,   Role::kSynth,   Role::kSynth,
                                             Role::kSynth, Role::kRest,    Role::kRest,    Role::kRest};
  return kByEight[static_cast<size_t>(std::clamp(program, 0, 127)) / 8];
}

std::pair<int, int> program_family(int program) {
  const auto* next = std::ranges::upper_bound(kFamilies, std::clamp(program, 0, 127));
  return {*(next - 1), *next - 1};
}

RoleMap parse_role_map(const std::string& text, const std::string& where) {
  const MapReader reader{where};
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw Error(ExitCode::kBadFile, where + ": is not JSON: " + error.what());
  }
  reader.check_keys(document, "the map", {"fonts", "synth_bass"});
  RoleMap map;
  if (document.contains("fonts")) {
    const json& fonts = document["fonts"];
    if (!fonts.is_array() || fonts.size() > kMaxFonts) reader.fail("fonts", "a list of at most 1000 fonts");
    for (size_t i = 0; i < fonts.size(); ++i) {
      map.fonts.push_back(read_font(reader, fonts[i], "fonts[" + std::to_string(i) + "]"));
    }
  }
  if (document.contains("synth_bass")) {
    const json& synth = document["synth_bass"];
    reader.check_keys(synth, "synth_bass", {"share", "pulsed_share"});
    map.synth_bass_share = reader.number(synth, "synth_bass", "share", 0, 0, 1);
    map.pulsed_share = reader.number(synth, "synth_bass", "pulsed_share", 0, 0, 1);
  }
  if (map.fonts.empty() && map.synth_bass_share == 0) reader.fail("fonts", "at least one font");
  return map;
}

RoleMap read_role_map(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  if (!in || fs::is_directory(path, error)) throw Error(ExitCode::kIo, path + ": the role map cannot be read");
  std::string text(kMaxMapBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxMapBytes) throw Error(ExitCode::kBadFile, path + ": is over 4 MiB, expected a role map");
  return parse_role_map(text, path);
}

FontSpec parse_font_argument(const std::string& text) {
  FontSpec spec;
  const size_t equals = text.find('=');
  std::error_code error;
  // A file may have "=" in its name.
  if (equals == std::string::npos || fs::exists(text, error)) {
    spec.file = text;
    spec.may_play.fill(true);
  } else {
    spec.file = text.substr(equals + 1);
    for (size_t begin = 0; begin <= equals;) {
      const size_t end = std::min(equals, text.find(',', begin));
      const std::string role = text.substr(begin, end - begin);
      if (!add_role(role, spec.may_play)) {
        throw Error(ExitCode::kUsage,
                    "--soundfont " + text + ": there is no role \"" + role +
                        "\"; expected FILE or ROLE,ROLE=FILE with roles of these: " + all_role_names());
      }
      begin = end + 1;
    }
  }
  if (spec.file.empty()) throw Error(ExitCode::kUsage, "--soundfont " + text + ": the file is missing");
  return spec;
}

struct FontLibrary::Keeper {
  OwnedSynth synth;
};

FontLibrary::FontLibrary(std::vector<FontSpec> specs) : keeper_(std::make_unique<Keeper>()) {
  for (const int level : {FLUID_PANIC, FLUID_ERR}) fluid_set_log_function(level, keep_complaint, nullptr);
  for (const int level : {FLUID_WARN, FLUID_INFO, FLUID_DBG}) fluid_set_log_function(level, ignore_message, nullptr);
  for (FontSpec& spec : specs) {
    check_header(spec.file);
    Font font{std::move(spec), {}, {}};
    // One file may have several specs, with other roles and presets.
    const auto same = std::ranges::find(fonts_, font.spec.file, [](const Font& other) { return other.spec.file; });
    if (same != fonts_.end()) {
      font.sha256 = same->sha256;
      font.presets = same->presets;
    } else {
      font.sha256 = runtime::to_hex(runtime::sha256_file(font.spec.file));
      fluid_synth_t* synth = keeper_->synth.synth.get();
      const int id = keeper_->synth.load(font.spec.file);
      fluid_sfont_t* sfont = id == FLUID_FAILED ? nullptr : fluid_synth_get_sfont_by_id(synth, id);
      if (sfont == nullptr) {
        throw Error(ExitCode::kBadFile, font.spec.file + ": the soundfont is damaged (" +
                                            (last_complaint.empty() ? "FluidSynth tells no reason" : last_complaint) +
                                            ")");
      }
      fluid_sfont_iteration_start(sfont);
      while (fluid_preset_t* preset = fluid_sfont_iteration_next(sfont)) {
        const char* name = fluid_preset_get_name(preset);
        font.presets.push_back({{fluid_preset_get_banknum(preset), fluid_preset_get_num(preset)}, name ? name : ""});
      }
    }
    const auto has = [&](const Preset& preset) {
      return std::ranges::any_of(font.presets, [&](const NamedPreset& named) { return named.preset == preset; });
    };
    for (const Preset& preset : font.spec.presets) {
      if (has(preset)) continue;
      throw Error(ExitCode::kBadFile, font.spec.file + ": the soundfont has no preset " +
                                          std::to_string(preset.program) + " in bank " + std::to_string(preset.bank) +
                                          ", which the role map names");
    }
    bool plays = !font.spec.presets.empty();
    for (int program = 0; program < 128 && !plays; ++program) {
      plays = !playable(font, role_of_program(program), program).empty();
    }
    if (!plays && playable(font, Role::kDrums, 0).empty()) {
      throw Error(ExitCode::kBadFile,
                  font.spec.file +
                      ": the soundfont has no preset for any of its roles; a font whose programs are "
                      "not those of General MIDI needs \"presets\" in a role map");
    }
    fonts_.push_back(std::move(font));
  }
}

FontLibrary::~FontLibrary() = default;

std::string FontLibrary::preset_name(size_t font, const Preset& preset) const {
  for (const NamedPreset& named : fonts_[font].presets) {
    if (named.preset == preset) return named.name;
  }
  return "";
}

std::vector<Preset> FontLibrary::playable(const Font& font, Role role, int program) const {
  if (!font.spec.may_play[static_cast<size_t>(role)]) return {};
  if (!font.spec.presets.empty()) return font.spec.presets;
  std::vector<Preset> presets;
  if (role == Role::kDrums) {
    for (const auto& [preset, name] : font.presets) {
      if (preset.bank == kDrumBank && preset.program <= kLastKit) presets.push_back(preset);
    }
    return presets;
  }
  const auto [first, last] = program_family(program);
  int bank = kDrumBank;
  for (const auto& [preset, name] : font.presets) {
    if (preset.bank > bank || preset.bank >= kDrumBank || preset.program < first || preset.program > last) continue;
    if (preset.bank < bank) presets.clear();
    bank = preset.bank;
    presets.push_back(preset);
  }
  return presets;
}

std::optional<Instrument> FontLibrary::choose(Role role, int program, CounterRandom& random) const {
  double total = 0;
  std::vector<std::pair<size_t, std::vector<Preset>>> candidates;
  for (size_t i = 0; i < fonts_.size(); ++i) {
    std::vector<Preset> presets = playable(fonts_[i], role, program);
    if (presets.empty()) continue;
    total += fonts_[i].spec.weight;
    candidates.emplace_back(i, std::move(presets));
  }
  if (candidates.empty()) return {};
  double at = random.uniform() * total;
  size_t chosen = 0;
  while (chosen + 1 < candidates.size() && at >= fonts_[candidates[chosen].first].spec.weight) {
    at -= fonts_[candidates[chosen++].first].spec.weight;
  }
  auto& [font, presets] = candidates[chosen];
  const bool keeps_program = random.chance(0.5);
  const uint64_t draw = random.below(presets.size());
  if (fonts_[font].spec.round_robin) return Instrument{font, std::move(presets)};
  const auto own = std::ranges::find(presets, program, [](const Preset& preset) { return preset.program; });
  return Instrument{font, {keeps_program && own != presets.end() ? *own : presets[draw]}};
}

struct FontPlayer::State {
  const FontLibrary& library;
  OwnedSynth synth;
  std::vector<int> ids;  // per font of the library, FLUID_FAILED = not yet loaded
};

FontPlayer::FontPlayer(const FontLibrary& library)
    : state_(new State{library, {}, std::vector<int>(library.size(), FLUID_FAILED)}) {}

FontPlayer::~FontPlayer() = default;

std::vector<PartNote> FontPlayer::play(const Instrument& instrument, std::span<const PartNote> notes,
                                       std::span<const PartControl> controls, double tuning_cents,
                                       std::span<float> left, std::span<float> right) {
  const FontSpec& spec = state_->library.spec(instrument.font);
  fluid_synth_t* synth = state_->synth.synth.get();
  int& id = state_->ids[instrument.font];
  if (id == FLUID_FAILED) id = state_->synth.load(spec.file);
  if (id == FLUID_FAILED) {
    throw Error(ExitCode::kIo, spec.file + ": the soundfont can no longer be read (" + last_complaint + ")");
  }
  const bool is_drums = instrument.presets[0].bank == kDrumBank;
  const int channel = is_drums ? kMidiDrumChannel : 0;
  fluid_synth_system_reset(synth);
  const auto select = [&](const Preset& preset) {
    if (fluid_synth_program_select(synth, channel, id, preset.bank, preset.program) == FLUID_OK) return;
    throw Error(ExitCode::kInternal, spec.file + ": FluidSynth does not select program " +
                                         std::to_string(preset.program) + " of bank " + std::to_string(preset.bank));
  };
  select(instrument.presets[0]);
  fluid_synth_set_gen(synth, channel, GEN_FINETUNE, static_cast<float>(tuning_cents));

  struct Event {
    int64_t frame;
    int order;  // of what is at one time: releases, controls, onsets
    size_t index;
  };
  std::vector<Event> events;
  for (size_t i = 0; i < notes.size(); ++i) {
    events.push_back({notes[i].start_frame, 2, i});
    // At least one block, as a release at the onset would be lost.
    events.push_back({std::max(notes[i].end_frame, notes[i].start_frame + kBlockFrames), 0, i});
  }
  for (size_t i = 0; i < controls.size(); ++i) events.push_back({controls[i].frame, 1, i});
  std::ranges::stable_sort(events, [](const Event& a, const Event& b) {
    return a.frame / kBlockFrames != b.frame / kBlockFrames ? a.frame < b.frame : a.order < b.order;
  });

  const auto num_frames = static_cast<int64_t>(left.size());
  const auto gain = static_cast<float>(std::pow(10.0, spec.gain_db / 20));
  std::array<float, 16 * kBlockFrames> block_left, block_right;
  int64_t at = 0;
  const auto render_to = [&](int64_t end) {
    end = std::min(end / kBlockFrames * kBlockFrames, num_frames);
    while (at < end) {
      if (fluid_synth_get_active_voice_count(synth) == 0) {
        at = end;
        break;
      }
      const int64_t wanted = std::min<int64_t>(end - at, static_cast<int64_t>(block_left.size()));
      const auto whole = static_cast<int>((wanted + kBlockFrames - 1) / kBlockFrames * kBlockFrames);
      if (fluid_synth_write_float(synth, whole, block_left.data(), 0, 1, block_right.data(), 0, 1) != FLUID_OK) {
        throw Error(ExitCode::kInternal, "FluidSynth renders nothing: " + last_complaint);
      }
      for (int64_t i = 0; i < wanted; ++i) {
        left[static_cast<size_t>(at + i)] += gain * block_left[static_cast<size_t>(i)];
        right[static_cast<size_t>(at + i)] += gain * block_right[static_cast<size_t>(i)];
      }
      at += wanted;
    }
  };

  std::vector<PartNote> unplayed;
  constexpr size_t kNone = SIZE_MAX;
  std::array<size_t, 128> sounding;
  sounding.fill(kNone);
  size_t num_onsets = 0;
  for (const Event& event : events) {
    if (event.frame >= num_frames) break;
    render_to(event.frame);
    if (event.order == 1) {
      const PartControl& control = controls[event.index];
      switch (control.kind) {
        case MidiControlKind::kKeyPressure:
          fluid_synth_key_pressure(synth, channel, control.number, control.value);
          break;
        case MidiControlKind::kController: fluid_synth_cc(synth, channel, control.number, control.value); break;
        case MidiControlKind::kProgram: break;
        case MidiControlKind::kChannelPressure: fluid_synth_channel_pressure(synth, channel, control.value); break;
        case MidiControlKind::kPitchBend: fluid_synth_pitch_bend(synth, channel, control.value + 8192); break;
      }
      continue;
    }
    const PartNote& note = notes[event.index];
    int key = note.key;
    if (!is_drums) {
      while (key < spec.low_key) key += 12;
      while (key > spec.high_key) key -= 12;
    }
    size_t& slot = sounding[static_cast<size_t>(key)];
    if (event.order == 0) {
      if (slot == event.index) {
        fluid_synth_noteoff(synth, channel, key);
        slot = kNone;
      }
      continue;
    }
    if (slot != kNone) fluid_synth_noteoff(synth, channel, key);
    slot = event.index;
    if (instrument.presets.size() > 1) select(instrument.presets[num_onsets++ % instrument.presets.size()]);
    const int before = fluid_synth_get_active_voice_count(synth);
    fluid_synth_noteon(synth, channel, key, note.velocity);
    if (fluid_synth_get_active_voice_count(synth) == before && before < kPolyphony) unplayed.push_back(note);
  }
  fluid_synth_cc(synth, channel, 64, 0);
  fluid_synth_all_notes_off(synth, channel);
  render_to(std::min(num_frames, at + static_cast<int64_t>(kMaxTailSeconds * 44100)));
  fluid_synth_all_sounds_off(synth, channel);
  // Voices are off when the next block is rendered; nothing of it may be left for the next part.
  for (int i = 0; i < 64 && fluid_synth_get_active_voice_count(synth) > 0; ++i) {
    fluid_synth_write_float(synth, kBlockFrames, block_left.data(), 0, 1, block_right.data(), 0, 1);
  }
  return unplayed;
}

}  // namespace vqcodec::dataset
