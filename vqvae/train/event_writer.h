// Training logs: JSON lines, and TensorBoard event files (TFRecord framing around tensorflow.Event messages).
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace vqcodec::vqvae::train {

using Scalars = std::vector<std::pair<std::string, double>>;

class EventWriter {
 public:
  // Appends to <folder>/log.jsonl and writes a new <folder>/events.out.tfevents.<unix time>.vqtrain. Throws Error(kIo).
  explicit EventWriter(const std::string& folder);
  void write(int64_t step, const std::string& kind, const Scalars& scalars);

 private:
  void write_record(const std::string& event);
  std::string folder_;
  std::ofstream lines_, events_;
};

// "name value  name value" for a line of text, without the scalars whose names contain `without`, if it is not empty.
std::string to_text(const Scalars& scalars, const std::string& without = "");

// One tensorflow.Event with a Summary of simple values, in protocol buffer encoding.
std::string encode_event(double wall_time_seconds, int64_t step, const Scalars& scalars);

}  // namespace vqcodec::vqvae::train
