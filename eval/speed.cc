#include "eval/speed.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <thread>

#include "audio/reader.h"
#include "audio/writer.h"
#include "base/error.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "eval/tracks.h"
#include "prior/coder.h"
#include "runtime/thread_pool.h"
#include "vqvae/decoder.h"
#include "vqvae/encoder.h"

extern char** environ;  // NOLINT: as POSIX has it

namespace vqcodec::eval {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <class Body>
double time_of(const Body& body) {
  const auto start = Clock::now();
  body();
  return seconds_since(start);
}

template <class T>
T take(codec::Result<T> result) {
  if (!result.ok()) throw Error(ExitCode::kInternal, "coder: " + result.error().message);
  return std::move(result).value();
}
void take(const codec::Result<void>& result) {
  if (!result.ok()) throw Error(ExitCode::kInternal, "coder: " + result.error().message);
}

// A child process; its standard output is a pipe or nowhere, and what it says on standard error is kept for the error
// that tells of its failure. Waited for in the destructor at the latest.
class Child {
 public:
  Child(const std::vector<std::string>& words, bool pipe_output) : name_(words.at(0)) {
    int pipe_ends[2] = {-1, -1};
    messages_ = memfd_create("messages", MFD_CLOEXEC);
    if (messages_ < 0 || (pipe_output && pipe2(pipe_ends, O_CLOEXEC) != 0)) fail(errno);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (pipe_output) {
      posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    } else {
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    }
    posix_spawn_file_actions_adddup2(&actions, messages_, STDERR_FILENO);
    std::vector<std::string> copies = words;
    std::vector<char*> argv;
    for (std::string& word : copies) argv.push_back(word.data());
    argv.push_back(nullptr);
    const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (pipe_ends[1] >= 0) close(pipe_ends[1]);
    output_ = pipe_ends[0];
    if (error != 0) {
      pid_ = -1;
      fail(error);
    }
  }
  ~Child() {
    close_all();
    if (pid_ >= 0) waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  int output() const { return output_; }

  // False if it still runs and `block` is false.
  bool wait(bool block, rusage& usage) {
    int status = 0;
    pid_t found = 0;
    do {
      found = wait4(pid_, &status, block ? 0 : WNOHANG, &usage);
    } while (found < 0 && errno == EINTR);
    if (found == 0) return false;
    pid_ = -1;
    if (found < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      const std::string how = found >= 0 && WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                                                              : std::string("a signal");
      throw Error(ExitCode::kInternal, name_ + ": ended with " + how + said());
    }
    return true;
  }

 private:
  void close_all() {
    for (int* fd : {&output_, &messages_}) {
      if (*fd >= 0) close(*fd);
      *fd = -1;
    }
  }
  // ": " and the end of what it said, on one line; nothing if that is nothing.
  std::string said() const {
    constexpr off_t kMostBytes = 400;
    const off_t end = lseek(messages_, 0, SEEK_END);
    std::string text(static_cast<size_t>(std::clamp<off_t>(end, 0, kMostBytes)), ' ');
    if (text.empty() || pread(messages_, text.data(), text.size(), end - static_cast<off_t>(text.size())) <= 0)
      return {};
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::ranges::replace_if(
        text, [](char c) { return c >= 0 && c < ' '; }, ' ');
    return ": " + text;
  }
  [[noreturn]] void fail(int error) {
    close_all();
    throw Error(ExitCode::kIo, name_ + ": cannot be started: " + std::strerror(error));
  }
  std::string name_;
  pid_t pid_ = -1;
  int output_ = -1;
  int messages_ = -1;
};

// VmHWM in MiB, 0 if the process is gone.
double high_water_mib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

// Collects the runs of measures, in the order in which they first came.
class Collector {
 public:
  void add(const std::string& name, int num_threads, const std::string& unit, bool higher_is_better, double value) {
    for (Measure& measure : measures) {
      if (measure.name == name && measure.num_threads == num_threads) return measure.runs.push_back(value);
    }
    measures.push_back({name, num_threads, unit, higher_is_better, {value}});
  }
  std::vector<Measure> measures;
};

class SpeedRun {
 public:
  SpeedRun(const std::shared_ptr<const vqvae::Model>& model, const SpeedOptions& options)
      : model_(model), options_(options), opusenc_(find_program("opusenc")), opusdec_(find_program("opusdec")) {}

  SpeedResult run() {
    read_audio();
    result_.audio_seconds = static_cast<double>(samples_.size() / 2) / model_->config().sample_rate_hz;
    if (samples_.empty()) throw Error(ExitCode::kBadFile, options_.audio.string() + ": has no samples");
    if (options_.vqcodec.empty()) result_.remarks.push_back("vqcodec was not found, so no whole program was measured");
    if (opusenc_.empty() || opusdec_.empty()) {
      result_.remarks.push_back("opusenc or opusdec was not found (Debian: opus-tools), so there is no ratio to Opus");
    }
    if (options_.prior == nullptr) result_.remarks.push_back("no prior: the coder is the adaptive model alone");
    const auto steps = static_cast<double>(options_.repetitions) * static_cast<double>(options_.threads.size() + 1);
    double done = 0;
    const auto step = [&] {
      if (options_.on_progress) options_.on_progress(++done / steps);
    };
    for (int repetition = 0; repetition < options_.repetitions; ++repetition) {
      for (int num_threads : options_.threads) {
        stages(num_threads);
        if (!options_.vqcodec.empty()) whole(num_threads, repetition == 0);
        step();
      }
      others();
      step();
    }
    result_.measures = std::move(collector_.measures);
    return std::move(result_);
  }

 private:
  std::string file(const char* name) const { return (options_.folder / name).string(); }

  void speed(const std::string& name, int num_threads, double seconds) {
    collector_.add(name, num_threads, "x real time", true, result_.audio_seconds / std::max(seconds, 1e-9));
  }

  void read_audio() {
    const auto reader =
        audio::AudioReader::open(options_.audio.string(), {.sample_rate_hz = model_->config().sample_rate_hz});
    samples_.clear();
    std::vector<float> block(size_t{2} << 15);
    while (const size_t count = reader->read(block)) {
      samples_.insert(samples_.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(2 * count));
    }
  }

  void stages(int num_threads) {
    runtime::ThreadPool pool(num_threads);
    speed("encode.audio_read", num_threads, time_of([&] { read_audio(); }));
    CodedSong song;
    speed("encode.network", num_threads, time_of([&] { song = encode_song(model_, samples_, 0, pool); }));
    codec::MemorySink sink;
    speed("encode.coder", num_threads, time_of([&] {
            codec::VqcWriter writer = take(codec::VqcWriter::create(sink, song.info));
            for (const auto& segment : song.segments) take(writer.write_segment(segment));
            take(writer.finish(song.info.num_samples));
          }));
    const codec::MemorySource source(sink.bytes());
    speed("decode.coder", num_threads, time_of([&] {
            const codec::VqcReader reader = take(codec::VqcReader::open(source));
            for (uint32_t k = 0; k < reader.num_segments(); ++k) {
              pool.parallel_for(static_cast<int64_t>(song.info.sources.size()), 1, [&](int64_t begin, int64_t end) {
                for (int64_t s = begin; s < end; ++s) {
                  if (take(reader.read_source_segment(k, static_cast<uint32_t>(s))) !=
                      song.segments[k][static_cast<size_t>(s)]) {
                    throw Error(ExitCode::kInternal, "the coder gave other codes than it was given");
                  }
                }
              });
            }
          }));
    if (options_.prior != nullptr) prior_stages(num_threads, pool, song);
    std::vector<float> decoded;
    speed("decode.network", num_threads, time_of([&] {
            vqvae::Decoder decoder(model_, {}, pool, [&](int, std::span<const float> block) {
              decoded.insert(decoded.end(), block.begin(), block.end());
            });
            for (const auto& segment : song.segments) decoder.push(segment);
            decoder.finish();
          }));
    speed("decode.audio_write", num_threads, time_of([&] {
            const auto writer =
                audio::AudioWriter::open(file("stage.wav"),
                                         {.sample_rate_hz = model_->config().sample_rate_hz, .force = true});
            writer->write(decoded);
            writer->finish();
          }));
    if (codes_.empty()) {
      for (const auto& segment : song.segments) {
        for (const auto& one : segment) codes_.insert(codes_.end(), one.codes.begin(), one.codes.end());
      }
      result_.code_bytes = codes_.size() * sizeof(uint16_t);
      result_.vqc_bytes = sink.bytes().size();
    }
  }

  void prior_stages(int num_threads, runtime::ThreadPool& pool, const CodedSong& song) {
    prior::Coder coder(options_.prior, song.info, pool);
    const codec::CodingTools tools{&coder, [&pool](size_t count, const std::function<void(size_t)>& body) {
                                     pool.parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
                                       for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i));
                                     });
                                   }};
    codec::MemorySink sink;
    speed("encode.prior", num_threads, time_of([&] {
            codec::VqcWriter writer = take(codec::VqcWriter::create(sink, song.info, {}, {.tools = tools}));
            for (const auto& segment : song.segments) take(writer.write_segment(segment));
            take(writer.finish(song.info.num_samples));
          }));
    const codec::MemorySource source(sink.bytes());
    const codec::VqcReader reader = take(codec::VqcReader::open(source));
    std::vector<uint32_t> all;
    for (uint32_t s = 0; s < song.info.sources.size(); ++s) all.push_back(s);
    speed("decode.prior", num_threads, time_of([&] {
            std::vector<codec::EncodedSegment> segments;
            for (uint32_t k = 0; k < reader.num_segments(); ++k) segments.push_back(take(reader.read_segment(k, all)));
            const auto decoded = codec::decode_segments(reader.info(), segments, all, tools);
            for (size_t k = 0; k < decoded.size(); ++k) {
              for (const uint32_t s : all) {
                if (take(decoded[k][s]) != song.segments[k][s]) {
                  throw Error(ExitCode::kInternal, "the prior gave other codes than it was given");
                }
              }
            }
          }));
    if (result_.prior_vqc_bytes > 0) return;
    result_.prior_vqc_bytes = sink.bytes().size();
    size_t num_streams = 0, num_prior = 0;
    for (uint32_t k = 0; k < reader.num_segments(); ++k) {
      for (const uint32_t s : all) {
        num_prior += take(reader.read_coder(k, s)) == std::optional(static_cast<uint8_t>(codec::StreamCoder::kPrior));
        ++num_streams;
      }
    }
    result_.remarks.push_back("the prior codes " + std::to_string(num_prior) + " of " + std::to_string(num_streams) +
                              " streams; the others are silent, or shorter without it");
  }

  void whole(int num_threads, bool with_memory) {
    const std::string vqcodec = options_.vqcodec.string(), vqc = file("speed.vqc");
    const std::vector<std::string> common = {"--model", options_.model_path, "--threads", std::to_string(num_threads)};
    const auto words = [&](std::vector<std::string> first) {
      first.insert(first.end(), common.begin(), common.end());
      first.insert(first.begin(), vqcodec);
      first.emplace_back("--quiet");
      return first;
    };
    std::vector<std::string> encode = words({"encode", options_.audio.string(), "-o", vqc, "--force"});
    std::vector<std::string> decode = words({"decode", vqc, "-o", file("whole.wav"), "--force"});
    std::vector<std::string> first_byte = words({"decode", vqc, "-o", "-"});
    if (options_.prior == nullptr) {
      encode.emplace_back("--no-prior");
    } else {
      for (auto* command : {&encode, &decode, &first_byte}) {
        command->insert(command->end(), {"--prior", options_.prior_path});
      }
    }
    speed("encode.whole", num_threads, run_child(encode).wall_seconds);
    speed("decode.whole", num_threads, run_child(decode).wall_seconds);
    collector_.add("decode.first_byte", num_threads, "ms", false,
                   1000 * seconds_to_first_byte(first_byte));
    if (!with_memory) return;  // it hardly varies
    collector_.add("encode.peak_memory", num_threads, "MiB", false, run_child(encode, true).peak_mib);
    collector_.add("decode.peak_memory", num_threads, "MiB", false, run_child(decode, true).peak_mib);
  }

  void others() {
    if (!options_.vqcodec.empty()) {
      collector_.add("start", 0, "ms", false, 1000 * run_child({options_.vqcodec.string(), "--version"}).wall_seconds);
    }
    if (!opusenc_.empty() && !opusdec_.empty()) {
      const std::string opus = file("speed.opus");
      speed("opusenc.whole", 1,
            run_child({opusenc_, "--quiet", "--bitrate", "96", options_.audio.string(), opus}).wall_seconds);
      speed("opusdec.whole", 1, run_child({opusdec_, "--quiet", "--force-wav", opus, file("opus.wav")}).wall_seconds);
      result_.opus_bytes = fs::file_size(opus);
    }
    std::vector<char> packed(ZSTD_compressBound(result_.code_bytes));
    size_t size = 0;
    speed("zstd19.codes", 1,
          time_of([&] { size = ZSTD_compress(packed.data(), packed.size(), codes_.data(), result_.code_bytes, 19); }));
    if (ZSTD_isError(size) != 0) throw Error(ExitCode::kInternal, std::string("zstd: ") + ZSTD_getErrorName(size));
    result_.zstd_bytes = size;
    std::vector<uint16_t> unpacked(codes_.size());
    speed("zstd19.codes_back", 1,
          time_of([&] { size = ZSTD_decompress(unpacked.data(), result_.code_bytes, packed.data(), size); }));
    if (unpacked != codes_) throw Error(ExitCode::kInternal, "zstd gave other codes than it was given");
  }

  std::shared_ptr<const vqvae::Model> model_;
  const SpeedOptions& options_;
  std::string opusenc_, opusdec_;
  std::vector<float> samples_;
  std::vector<uint16_t> codes_;
  Collector collector_;
  SpeedResult result_;
};

// Median of a measure of a report; NaN if it is not there.
double median_in(const Json& report, const std::string& name, int num_threads) {
  for (const Json& measure : report["measures"]) {
    if (measure["name"] == name && measure.value("threads", 0) == num_threads && measure["median"].is_number()) {
      return measure["median"].get<double>();
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

bool is_speed_report(const Json& report) {
  if (!report.is_object() || !report.contains("kind") || report["kind"] != "speed" || !report.contains("measures") ||
      !report["measures"].is_array()) {
    return false;
  }
  return std::ranges::all_of(report["measures"], [](const Json& measure) {
    return measure.is_object() && measure.contains("name") && measure["name"].is_string() &&
           measure.contains("median") && (!measure.contains("threads") || measure["threads"].is_number_integer());
  });
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  if (values.empty()) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan, kNan};
  }
  std::ranges::sort(values);
  const size_t n = values.size();
  return {(values[(n - 1) / 2] + values[n / 2]) / 2, values.front(), values.back()};
}

ChildRun run_child(const std::vector<std::string>& words, bool with_memory) {
  ChildRun run;
  const auto start = Clock::now();
  Child child(words, false);
  rusage usage{};
  while (!child.wait(!with_memory, usage)) {
    run.peak_mib = std::max(run.peak_mib, high_water_mib(child.pid()));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  run.wall_seconds = seconds_since(start);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  run.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  return run;
}

double seconds_to_first_byte(const std::vector<std::string>& words) {
  const auto start = Clock::now();
  Child child(words, true);
  double seconds = -1;
  std::vector<char> block(1 << 16);
  for (;;) {
    const ssize_t got = read(child.output(), block.data(), seconds < 0 ? 1 : block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (seconds < 0) seconds = seconds_since(start);
  }
  rusage usage{};
  child.wait(true, usage);
  if (seconds < 0) throw Error(ExitCode::kInternal, words[0] + ": wrote nothing");
  return seconds;
}

std::string find_program(const std::string& name) {
  const char* variable = std::getenv("PATH");
  const std::string list = variable == nullptr ? "" : variable;
  for (size_t at = 0; at < list.size();) {
    const size_t colon = std::min(list.find(':', at), list.size());
    const std::string path = list.substr(at, colon - at) + "/" + name;
    if (colon > at && access(path.c_str(), X_OK) == 0) return path;
    at = colon + 1;
  }
  return {};
}

SpeedResult measure_speed(const std::shared_ptr<const vqvae::Model>& model, const SpeedOptions& options) {
  return SpeedRun(model, options).run();
}

Json measures_json(const std::vector<Measure>& measures) {
  Json result = Json::array();
  for (const Measure& measure : measures) {
    const Spread spread = spread_of(measure.runs);
    Json item = {{"name", measure.name}};
    if (measure.num_threads > 0) item["threads"] = measure.num_threads;
    item["unit"] = measure.unit;
    item["higher_is_better"] = measure.higher_is_better;
    item["median"] = number_or_null(spread.median);
    item["min"] = number_or_null(spread.min);
    item["max"] = number_or_null(spread.max);
    item["runs"] = measure.runs;
    result.push_back(item);
  }
  return result;
}

Json ratios_json(const std::vector<Measure>& measures) {
  constexpr std::pair<const char*, const char*> kPairs[] = {{"encode.whole", "opusenc.whole"},
                                                            {"decode.whole", "opusdec.whole"},
                                                            {"encode.coder", "zstd19.codes"},
                                                            {"decode.coder", "zstd19.codes_back"}};
  Json result = Json::array();
  for (const auto& [name, to] : kPairs) {
    const auto other = std::ranges::find(measures, std::string(to), &Measure::name);
    if (other == measures.end()) continue;
    for (const Measure& measure : measures) {
      if (measure.name != name) continue;
      std::vector<double> ratios;
      for (size_t i = 0; i < std::min(measure.runs.size(), other->runs.size()); ++i) {
        ratios.push_back(measure.runs[i] / other->runs[i]);
      }
      const Spread spread = spread_of(ratios);
      result.push_back({{"name", name},
                        {"threads", measure.num_threads},
                        {"to", to},
                        {"median", number_or_null(spread.median)},
                        {"min", number_or_null(spread.min)},
                        {"max", number_or_null(spread.max)}});
    }
  }
  return result;
}

Json compare_speed(const Json& new_report, const Json& old_report, const std::string& old_name) {
  if (!is_speed_report(old_report)) {
    throw Error(ExitCode::kBadFile,
                old_name + ": is no report of vqeval speed (\"kind\": \"speed\" with \"measures\")");
  }
  const double new_opus = median_in(new_report, "opusenc.whole", 1),
               old_opus = median_in(old_report, "opusenc.whole", 1);
  Json result = Json::array();
  for (const Json& measure : new_report["measures"]) {
    const std::string name = measure["name"].get<std::string>();
    const int num_threads = measure.value("threads", 0);
    const double now = median_in(new_report, name, num_threads), old = median_in(old_report, name, num_threads);
    if (!(now > 0 && old > 0)) continue;
    Json item = {{"name", name}};
    if (num_threads > 0) item["threads"] = num_threads;
    item["unit"] = measure["unit"];
    item["old"] = old;
    item["new"] = now;
    const bool higher = measure["higher_is_better"].get<bool>();
    item["ratio"] = higher ? now / old : old / now;
    if (higher && new_opus > 0 && old_opus > 0) item["ratio_to_opus"] = (now / new_opus) / (old / old_opus);
    result.push_back(item);
  }
  return result;
}

}  // namespace vqcodec::eval
