#include "apps/vqc_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace vqcodec::apps {

using codec::Errc;

namespace {

constexpr uint64_t kMaxPipeBytes = uint64_t{1} << 30;
constexpr int kMaxMetadataDepth = 32;
// Rows of a prior's batch: more are hardly faster.
constexpr size_t kMaxRows = 64;
constexpr size_t kFirstRows = 16;
constexpr size_t kMaxCodesAtOnce = size_t{1} << 22;
constexpr const char* kKeepGoingHint = "; --keep-going decodes what is left, \"vqcodec verify\" lists all damage";

class OwnedBytes final : public codec::ByteSource {
 public:
  explicit OwnedBytes(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)), source_(bytes_) {}
  uint64_t size() const override { return source_.size(); }
  codec::Result<void> read_at(uint64_t offset, std::span<uint8_t> out) const override {
    return source_.read_at(offset, out);
  }

 private:
  std::vector<uint8_t> bytes_;
  codec::MemorySource source_;
};

// Before opening: to open a named pipe and close it again would end its writer.
bool is_regular_file(const std::string& path) {
  struct stat status {};
  return path != "-" && (stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

int open_pipe(const std::string& path) {
  if (path == "-") return STDIN_FILENO;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(ExitCode::kIo, path + ": cannot be opened (" + std::strerror(errno) + ")");
  return fd;
}

std::string seconds_text(double seconds) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", seconds);
  return text;
}

}  // namespace

Error to_error(const std::string& name, const codec::ErrorInfo& error, const std::string& hint) {
  ExitCode code = ExitCode::kBadFile;
  if (error.code == Errc::kIo) code = ExitCode::kIo;
  if (error.code == Errc::kCodesCrcMismatch || error.code == Errc::kNeedsPrior) code = ExitCode::kModel;
  if (error.code == Errc::kBadArgument) code = ExitCode::kInternal;
  std::string text = name + ": " + error.message;
  const std::string place = "at byte " + std::to_string(error.byte_offset);
  if (error.byte_offset > 0 && error.message.find(place) == std::string::npos) text += ", " + place;
  return Error(code, text + (code == ExitCode::kBadFile || code == ExitCode::kModel ? hint : std::string()));
}

void take(const std::string& name, const codec::Result<void>& result) {
  if (!result) throw to_error(name, result.error());
}

std::string input_name(const std::string& path) { return path == "-" ? "standard input" : path; }

std::unique_ptr<codec::ByteSource> open_vqc_bytes(const std::string& path) {
  const std::string name = input_name(path);
  if (is_regular_file(path)) return take(name, codec::FileSource::open(path));
  const int fd = open_pipe(path);
  codec::FdStream stream(fd);
  std::vector<uint8_t> bytes;
  codec::Result<size_t> got = size_t{0};
  do {
    const size_t size = bytes.size();
    bytes.resize(size + (1U << 16));
    got = stream.read_some(std::span(bytes).subspan(size));
    bytes.resize(size + (got ? *got : 0));
  } while (got && *got > 0 && bytes.size() <= kMaxPipeBytes);
  if (fd != STDIN_FILENO) close(fd);
  if (!got) throw to_error(name, got.error());
  if (bytes.size() > kMaxPipeBytes) {
    throw Error(ExitCode::kIo, name + ": more than 1 GiB from a pipe; save it as a file first");
  }
  return std::make_unique<OwnedBytes>(std::move(bytes));
}

nlohmann::ordered_json parse_metadata(std::string_view text) {
  // The depth is bounded because writing JSON out again recurses.
  using Json = nlohmann::ordered_json;
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxMetadataDepth; };
  auto json = Json::parse(text, is_shallow, /*allow_exceptions=*/false);
  return json.is_discarded() ? nlohmann::ordered_json() : json;
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

size_t segments_at_once(const codec::StreamInfo& info, size_t num_sources) {
  const size_t num_codes = size_t{info.segment_frames} * info.num_codebooks * num_sources;
  const size_t rows = info.is_joint() ? 1 : num_sources;
  return std::max<size_t>(1, std::min(kMaxRows / std::max<size_t>(rows, 1), kMaxCodesAtOnce / num_codes));
}

VqcInput::VqcInput(const std::string& path, bool keep_going, Warn warn)
    : name_(input_name(path)), keep_going_(keep_going), warn_(std::move(warn)) {
  if (is_regular_file(path)) {
    source_ = open_vqc_bytes(path);
    using Mode = codec::VqcReader::Mode;
    auto reader = codec::VqcReader::open(*source_, keep_going ? Mode::kRecover : Mode::kStrict);
    if (!reader) {
      // Without a header nothing helps.
      const bool recoverable = !keep_going && codec::VqcReader::open(*source_, Mode::kRecover).ok();
      throw to_error(name_, reader.error(), recoverable ? kKeepGoingHint : "");
    }
    reader_.emplace(std::move(reader).value());
    if (reader_->damage()) warn_(to_error(name_, *reader_->damage()).what());
    return;
  }
  const int fd = open_pipe(path);
  if (fd != STDIN_FILENO) fd_ = fd;
  stream_ = std::make_unique<codec::FdStream>(fd);
  stream_reader_.emplace(take(name_, codec::VqcStreamReader::open(*stream_)));
}

VqcInput::~VqcInput() {
  if (fd_ >= 0) close(fd_);
}

const codec::StreamInfo& VqcInput::info() const { return reader_ ? reader_->info() : stream_reader_->info(); }

std::string VqcInput::metadata() const {
  auto metadata = reader_ ? reader_->read_metadata() : stream_reader_->metadata();
  return metadata ? std::move(metadata).value() : std::string();
}

std::optional<int64_t> VqcInput::num_samples() const {
  const bool known = reader_ ? reader_->totals_known() : stream_reader_->totals_known();
  if (known) return static_cast<int64_t>(info().num_samples);
  if (!reader_ && !broken_off_) return std::nullopt;
  // What the frames that are there give.
  const uint64_t num_frames = reader_ ? info().num_frames : num_frames_;
  return num_frames == 0 ? 0 : static_cast<int64_t>((num_frames - 1) * info().hop_samples);
}

void VqcInput::select(Selection selection) {
  selection_ = std::move(selection);
  most_segments_ = info().has_prior() ? segments_at_once(info(), selection_.sources.size()) : 1;
  const size_t rows = info().is_joint() ? 1 : selection_.sources.size();
  batch_segments_ = std::clamp<size_t>(kFirstRows / std::max<size_t>(rows, 1), 1, most_segments_);
}

std::optional<VqcInput::Item> VqcInput::read_file() {
  const uint32_t index = std::max(next_index_, selection_.first);
  if (index >= reader_->num_segments()) return std::nullopt;
  next_index_ = index + 1;
  Item item;
  item.index = index;
  item.num_frames = reader_->num_frames(index);
  auto encoded = reader_->read_segment(index, codec::sources_to_read(info(), selection_.sources));
  if (encoded) {
    item.encoded = std::move(encoded).value();
  } else {
    for (const uint32_t source : selection_.sources) {
      item.sources.push_back(codec::name_stream(encoded.error(), info(), index, source));
    }
  }
  return item;
}

std::optional<VqcInput::Item> VqcInput::read_pipe() {
  while (!broken_off_) {
    Item item;
    item.index = stream_reader_->next_index();
    auto segment = stream_reader_->next();
    if (!segment) {
      if (!keep_going_ || segment.error().code == Errc::kIo) {
        item.fatal = to_error(name_, segment.error(), kKeepGoingHint);
        broken_off_ = true;
        return item;
      }
      broken_off_ = !stream_reader_->can_continue();
      // The head of this segment is lost, and so its length: only a last one may be short.
      uint64_t frames = info().segment_frames;
      if (stream_reader_->totals_known()) {
        const uint64_t begin = uint64_t{item.index} * frames;
        frames = info().num_frames > begin ? std::min(frames, info().num_frames - begin) : 0;
      }
      const std::string what = to_error(name_, segment.error()).what();
      item.num_frames = static_cast<uint32_t>(frames);
      item.has_segment = !broken_off_ && frames > 0 && item.index >= selection_.first;
      if (broken_off_ || frames == 0) {
        item.warnings.push_back(what + (broken_off_ ? "; the song ends here" : ""));
        return item;
      }
      item.warnings.push_back(what + "; all sources are silent " + stretch(item.index, item.num_frames));
      num_frames_ += frames;
      return item;
    }
    if (!*segment) return std::nullopt;
    num_frames_ += (*segment)->num_frames;
    if ((*segment)->index < selection_.first) continue;
    item.index = (*segment)->index;
    item.num_frames = (*segment)->num_frames;
    item.encoded = std::move(**segment);
    return item;
  }
  return std::nullopt;
}

void VqcInput::read_batch() {
  std::vector<codec::EncodedSegment> encoded;
  while (ready_.size() < batch_segments_) {
    std::optional<Item> item = reader_ ? read_file() : read_pipe();
    if (!item) break;
    if (item->encoded) encoded.push_back(std::move(*item->encoded));
    ready_.push_back(std::move(*item));
    if (ready_.back().fatal || ready_.back().index + 1 >= selection_.end) break;
  }
  if (encoded.empty()) return;
  auto decoded = codec::decode_segments(info(), encoded, selection_.sources, selection_.tools);
  size_t next = 0;
  for (Item& item : ready_) {
    if (item.encoded) item.sources = std::move(decoded[next++]);
  }
  batch_segments_ = std::min(2 * batch_segments_, most_segments_);
}

std::optional<VqcInput::Segment> VqcInput::next() {
  for (;;) {
    if (ready_.empty()) read_batch();
    if (ready_.empty()) return std::nullopt;
    Item item = std::move(ready_.front());
    ready_.pop_front();
    if (item.fatal) throw *item.fatal;
    for (const std::string& warning : item.warnings) warn_(warning);
    if (!item.has_segment) continue;
    Segment segment{item.index, item.num_frames, {}};
    const codec::SourceSegment silent{0, std::vector<uint16_t>(size_t{item.num_frames} * info().num_codebooks)};
    if (item.sources.empty()) segment.sources.assign(selection_.sources.size(), silent);
    for (auto& result : item.sources) {
      if (result) {
        segment.sources.push_back(std::move(result).value());
        continue;
      }
      const codec::ErrorInfo& error = result.error();
      if (!keep_going_ || error.code == Errc::kIo) throw to_error(name_, error, kKeepGoingHint);
      warn_(std::string(to_error(name_, error).what()) + "; it is silent " + stretch(item.index, item.num_frames));
      segment.sources.push_back(silent);
    }
    return segment;
  }
}

std::string VqcInput::stretch(uint32_t index, uint32_t num_frames) const {
  // Frame f begins one hop before sample f x hop.
  const double hop_seconds = static_cast<double>(info().hop_samples) / info().sample_rate_hz;
  const double begin = static_cast<double>(uint64_t{index} * info().segment_frames) * hop_seconds;
  return "from " + seconds_text(std::max(0.0, begin - hop_seconds)) + " to " +
         seconds_text(begin + num_frames * hop_seconds) + " s";
}

}  // namespace vqcodec::apps
