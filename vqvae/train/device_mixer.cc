#include "vqvae/train/device_mixer.h"

#include <algorithm>
#include <map>
#include <numbers>

#include "base/error.h"
#include "runtime/thread_pool.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

namespace {

constexpr int64_t kCopyFrames = 1 << 22;   // at a time
constexpr double kTiltTailSeconds = 0.25;  // after which the slowest pole, at 21 Hz, has decayed by 140 dB and more

struct Stem {
  const dataset::Song* song;
  size_t source;
  int64_t bank, first_frame;
};

template <class Function>
void for_each_stem(const std::vector<dataset::WeightedSongs>& sets, int num_sources, Function&& function) {
  for (const dataset::WeightedSongs& set : sets) {
    for (const dataset::Song& song : set.songs) {
      for (size_t source = 0; source < static_cast<size_t>(num_sources); ++source) {
        if (song.has(source)) function(song, source);
      }
    }
  }
}

}  // namespace

int64_t device_audio_bytes(const std::vector<dataset::WeightedSongs>& sets, int num_sources) {
  int64_t num_bytes = 0;
  for_each_stem(sets, num_sources, [&](const dataset::Song& song, size_t) { num_bytes += 4 * song.num_frames; });
  return num_bytes;
}

struct DeviceMixer::State {
  const dataset::Mixer& mixer;
  torch::Device device;
  std::vector<Tensor> banks;  // [frames, 2] int16
  std::map<std::pair<const dataset::Song*, size_t>, Stem> stems;

  struct Row {
    int64_t out;  // item * num_sources + source
    const Stem* stem;
    dataset::SourcePlan plan;
  };

  // One number of every row as [R, 1, ..] with `num_dims` dimensions.
  template <class T, class Function>
  Tensor column(const std::vector<Row>& rows, int64_t num_dims, Function&& function) const {
    std::vector<T> values;
    for (const Row& row : rows) values.push_back(static_cast<T>(function(row)));
    std::vector<int64_t> shape(static_cast<size_t>(num_dims), 1);
    shape[0] = static_cast<int64_t>(rows.size());
    return torch::tensor(torch::ArrayRef<T>(values), torch::CppTypeToScalarType<T>::value).view(shape).to(device);
  }

  // The stretches of rows that are all in one bank and all at their own speed or all not: [R, 2, n] float32 of int16 values.
  Tensor gather(const std::vector<Row>& rows, int64_t num_frames) const {
    const auto num_rows = static_cast<int64_t>(rows.size());
    const Tensor& bank = banks[static_cast<size_t>(rows[0].stem->bank)];
    const auto start = column<int64_t>(rows, 2, [](const Row& row) { return row.plan.start_frame; });
    const auto length = column<int64_t>(rows, 2, [](const Row& row) { return row.stem->song->num_frames; });
    const auto first = column<int64_t>(rows, 2, [](const Row& row) { return row.stem->first_frame; });
    const auto frames = [&](const Tensor& at) {  // [R, n] of the song -> [R, n, 2]
      const Tensor index = first + torch::minimum(at.clamp_min(0), length - 1);
      return bank.index_select(0, index.flatten()).to(torch::kFloat32).view({num_rows, num_frames, 2});
    };
    const Tensor count = torch::arange(num_frames, torch::TensorOptions(torch::kInt64).device(device)).unsqueeze(0);
    Tensor samples, inside;
    if (rows[0].plan.speed == 1.0) {
      const Tensor at = start + count;
      samples = frames(at);
      inside = (at >= 0).logical_and_(at < length);
    } else {
      // As in Mixer::execute.
      const auto speed = column<double>(rows, 2, [](const Row& row) { return row.plan.speed; });
      const Tensor at = start.to(torch::kFloat64) + count.to(torch::kFloat64) * speed;
      const Tensor base = at.floor();
      const Tensor t = (at - base).to(torch::kFloat32).unsqueeze(-1);
      const Tensor index = base.to(torch::kInt64);
      const Tensor p0 = frames(index - 1), p1 = frames(index), p2 = frames(index + 1), p3 = frames(index + 2);
      const Tensor a = 0.5 * (p3 - p0) + 1.5 * (p1 - p2);
      const Tensor b = p0 - 2.5 * p1 + 2.0 * p2 - 0.5 * p3;
      const Tensor c = 0.5 * (p2 - p0);
      samples = ((a * t + b) * t + c) * t + p1;
      inside = (index >= 1).logical_and_(index + 2 < length);
    }
    return samples.mul_(inside.unsqueeze(-1)).transpose(1, 2);
  }

  // The filter of dataset::TiltFilter on [R, 2, n], with room for its tail.
  Tensor tilt(const std::vector<Row>& rows, const Tensor& samples) const {
    const int64_t num_frames = samples.size(-1);
    std::vector<dataset::TiltFilter> filters;
    int rate_hz = 0;
    for (const Row& row : rows) {
      filters.emplace_back(row.plan.tilt_db_per_octave, row.stem->song->sample_rate_hz);
      rate_hz = std::max(rate_hz, row.stem->song->sample_rate_hz);
    }
    const auto tail = static_cast<int64_t>(kTiltTailSeconds * rate_hz);
    const int64_t size = (num_frames + tail + 1023) / 1024 * 1024;
    const auto real = torch::TensorOptions(torch::kFloat64).device(device);
    const Tensor angle = torch::arange(size / 2 + 1, real) * (-2 * std::numbers::pi / static_cast<double>(size));
    const Tensor delay = torch::polar(torch::ones_like(angle), angle).unsqueeze(0);
    size_t num_sections = 0;
    for (const auto& filter : filters) num_sections = std::max(num_sections, filter.sections.size());
    std::vector<double> values;
    for (const auto& filter : filters) values.push_back(filter.gain);
    const auto num_rows = static_cast<int64_t>(rows.size());
    Tensor response = torch::tensor(values, torch::kFloat64).view({num_rows, 1}).to(device) * torch::ones_like(delay);
    for (size_t i = 0; i < num_sections; ++i) {
      values.clear();
      for (const auto& filter : filters) {
        const auto section = i < filter.sections.size() ? filter.sections[i] : dataset::TiltFilter::Section{};
        values.insert(values.end(), {section.b0, section.b1, section.a1});
      }
      const Tensor k = torch::tensor(values, torch::kFloat64).view({num_rows, 3, 1}).to(device);
      response = response * ((k.select(1, 0) + k.select(1, 1) * delay) / (1 + k.select(1, 2) * delay));
    }
    const Tensor spectrum = torch::fft_rfft(samples, size) * response.to(torch::kComplexFloat).unsqueeze(1);
    return torch::fft_irfft(spectrum, size).narrow(-1, 0, num_frames);
  }
};

DeviceMixer::DeviceMixer(const dataset::Mixer& mixer, torch::Device device, int num_threads, int64_t max_bank_frames)
    : state_(new State{mixer, device, {}, {}}) {
  std::vector<int64_t> bank_frames;
  std::vector<Stem> stems;
  for_each_stem(mixer.sets(), mixer.num_sources(), [&](const dataset::Song& song, size_t source) {
    if (song.num_frames > kMaxBankFrames) {
      throw Error(ExitCode::kUsage, song.name + ": has " + std::to_string(song.num_frames) +
                                        " samples a channel, too many to be mixed on the device (at most " +
                                        std::to_string(kMaxBankFrames) + "); use --mix host");
    }
    if (bank_frames.empty() || bank_frames.back() + song.num_frames > max_bank_frames) bank_frames.push_back(0);
    stems.push_back({&song, source, static_cast<int64_t>(bank_frames.size()) - 1, bank_frames.back()});
    bank_frames.back() += song.num_frames;
  });
  for (const int64_t frames : bank_frames) {
    state_->banks.push_back(torch::empty({frames, 2}, torch::TensorOptions(torch::kInt16).device(device)));
  }
  runtime::ThreadPool pool(num_threads);
  pool.parallel_for(static_cast<int64_t>(stems.size()), 1, [&](int64_t begin, int64_t end) {
    std::vector<int16_t> block;
    for (int64_t i = begin; i < end; ++i) {
      const Stem& stem = stems[static_cast<size_t>(i)];
      Tensor& bank = state_->banks[static_cast<size_t>(stem.bank)];
      for (int64_t at = 0; at < stem.song->num_frames; at += kCopyFrames) {
        const int64_t count = std::min(kCopyFrames, stem.song->num_frames - at);
        block.resize(2 * static_cast<size_t>(count));
        stem.song->read(stem.source, at, block);
        bank.narrow(0, stem.first_frame + at, count)
            .copy_(torch::from_blob(block.data(), {count, 2}, torch::kInt16), /*non_blocking=*/false);
      }
    }
  });
  for (const Stem& stem : stems) state_->stems[{stem.song, stem.source}] = stem;
}

DeviceMixer::~DeviceMixer() = default;

Tensor DeviceMixer::draw(uint64_t step, int64_t num_items, int64_t num_frames) const {
  torch::NoGradGuard no_grad;
  const State& s = *state_;
  const int64_t num_sources = s.mixer.num_sources();
  std::map<std::pair<int64_t, bool>, std::vector<State::Row>> groups;  // by bank and whether the speed is 1
  for (int64_t item = 0; item < num_items; ++item) {
    const auto plans = s.mixer.plan(step, static_cast<uint64_t>(item), num_frames);
    for (size_t source = 0; source < plans.size(); ++source) {
      if (plans[source].song == nullptr) continue;
      const auto stem = s.stems.find({plans[source].song, source});
      if (stem == s.stems.end()) continue;  // silent in this song
      groups[{stem->second.bank, plans[source].speed == 1.0}].push_back(
          {item * num_sources + static_cast<int64_t>(source), &stem->second, plans[source]});
    }
  }
  Tensor out = torch::zeros({num_items * num_sources, 2, num_frames}, torch::TensorOptions().device(s.device));
  for (auto& [key, rows] : groups) {
    std::ranges::stable_partition(rows, [](const State::Row& row) { return row.plan.tilt_db_per_octave == 0; });
    const auto num_plain =
        std::ranges::count_if(rows, [](const auto& row) { return row.plan.tilt_db_per_octave == 0; });
    Tensor samples = s.gather(rows, num_frames);
    const auto swap = s.column<int64_t>(rows, 3, [](const auto& row) { return row.plan.swap_channels; });
    samples = torch::where(swap != 0, samples.flip(1), samples);
    const auto left =
        s.column<float>(rows, 3, [](const auto& row) { return row.plan.gain / 32768.0f * row.plan.left_gain; });
    const auto right =
        s.column<float>(rows, 3, [](const auto& row) { return row.plan.gain / 32768.0f * row.plan.right_gain; });
    samples = samples * torch::cat({left, right}, 1);
    if (num_plain < static_cast<int64_t>(rows.size())) {
      const std::vector<State::Row> tilted(rows.begin() + num_plain, rows.end());
      const auto count = static_cast<int64_t>(tilted.size());
      samples = torch::cat({samples.narrow(0, 0, num_plain), s.tilt(tilted, samples.narrow(0, num_plain, count))});
    }
    out.index_copy_(0, s.column<int64_t>(rows, 1, [](const auto& row) { return row.out; }), samples);
  }
  return out.view({num_items, num_sources, 2, num_frames});
}

}  // namespace vqcodec::vqvae::train
