#include "vqvae/train/event_writer.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>

#include <boost/crc.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"

namespace vqcodec::vqvae::train {

namespace {

static_assert(std::endian::native == std::endian::little);

template <class T>
void put_raw(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

// Field numbers and wire types of tensorflow/core/util/event.proto and framework/summary.proto.
void put_text(std::string& out, int field, const std::string& text) {
  put_varint(out, static_cast<uint64_t>(field << 3 | 2));
  put_varint(out, text.size());
  out += text;
}

uint32_t masked_crc(const std::string& bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const uint32_t value = crc.checksum();
  return ((value >> 15) | (value << 17)) + 0xA282EAD8u;
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string encode_event(double wall_time_seconds, int64_t step, const Scalars& scalars) {
  std::string event;
  event.push_back(1 << 3 | 1);  // wall_time: double
  put_raw(event, wall_time_seconds);
  event.push_back(2 << 3 | 0);  // step: int64
  put_varint(event, static_cast<uint64_t>(step));
  if (scalars.empty()) {
    put_text(event, 3, "brain.Event:2");  // file_version, the first record of a file
    return event;
  }
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    std::string item;
    put_text(item, 1, tag);
    item.push_back(2 << 3 | 5);  // simple_value: float
    put_raw(item, static_cast<float>(value));
    put_text(summary, 1, item);
  }
  put_text(event, 5, summary);
  return event;
}

EventWriter::EventWriter(const std::string& folder) : folder_(folder) {
  const double now = unix_seconds();
  lines_.open(folder + "/log.jsonl", std::ios::app);
  // A run that was resumed within a second must not overwrite its own events.
  auto second = static_cast<int64_t>(now);
  const auto path = [&] { return folder + "/events.out.tfevents." + std::to_string(second) + ".vqtrain"; };
  while (std::filesystem::exists(path())) ++second;
  events_.open(path(), std::ios::binary);
  if (!lines_ || !events_) throw Error(ExitCode::kIo, folder + ": log files cannot be written");
  write_record(encode_event(now, 0, {}));
}

void EventWriter::write_record(const std::string& event) {
  std::string header, record;
  put_raw(header, static_cast<uint64_t>(event.size()));
  record = header;
  put_raw(record, masked_crc(header));
  record += event;
  put_raw(record, masked_crc(event));
  events_.write(record.data(), static_cast<std::streamsize>(record.size()));
  events_.flush();
}

void EventWriter::write(int64_t step, const std::string& kind, const Scalars& scalars) {
  const double now = unix_seconds();
  nlohmann::ordered_json line = {{"kind", kind}, {"step", step}, {"time", now}};
  Scalars tagged;
  for (const auto& [name, value] : scalars) {
    line[name] = value;  // not finite becomes null
    tagged.emplace_back(kind + "/" + name, value);
  }
  lines_ << line.dump() << '\n' << std::flush;
  write_record(encode_event(now, step, tagged));
  if (!lines_ || !events_) throw Error(ExitCode::kIo, folder_ + ": log files cannot be written (disk full?)");
}

std::string to_text(const Scalars& scalars, const std::string& without) {
  std::string text;
  for (const auto& [name, value] : scalars) {
    if (!without.empty() && name.find(without) != std::string::npos) continue;
    append(text, "%s%s %.4g", text.empty() ? "" : "  ", name.c_str(), value);
  }
  return text;
}

}  // namespace vqcodec::vqvae::train
