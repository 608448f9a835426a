// Makes tests/data/golden/prior*.{safetensors,vqc}. They were made once and are never made again: a reader must go on
// reading what an earlier writer wrote. It leaves files alone that exist. And makes what speed is measured with: a prior of
// the default size for the codes of a model, and a file of codes that this prior codes best.
//
//   prior_make_fixtures DIR                                 writes DIR/golden/prior*
//   prior_make_fixtures MODEL_ID PRIOR.safetensors OUT.vqc FRAMES [joint]
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include "codec/vqc_writer.h"
#include "tests/prior/golden_prior.h"
#include "tests/prior/sampled_codes.h"

namespace {

using namespace vqcodec;

std::vector<uint8_t> write_file(prior::Coder& coder, const codec::StreamInfo& info, const std::vector<uint32_t>& order,
                                const std::vector<std::vector<codec::SourceSegment>>& segments) {
  codec::MemorySink sink;
  auto writer = codec::VqcWriter::create(sink, info, R"({"title":"made by make_fixtures"})",
                                         {.tools = {.predictor = &coder}, .source_order = order})
                    .value();
  for (const auto& segment : segments)
    if (!writer.write_segment(segment)) std::abort();
  if (!writer.finish(writer.num_frames() * info.hop_samples - 100)) std::abort();
  return sink.bytes();
}

void write_bytes(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  if (std::filesystem::exists(path)) return;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
  std::fclose(file);
  std::cout << path.string() << ' ' << bytes.size() << '\n';
}

void make_golden(const std::filesystem::path& folder) {
  const auto prior_path = folder / "prior.safetensors";
  if (!std::filesystem::exists(prior_path))
    prior::make_random_prior(prior::golden_config(), prior::kGoldenPriorSeed).write(prior_path.string());
  const auto model = prior::Model::load(prior_path.string());
  runtime::ThreadPool pool(1);
  for (const prior::GoldenFile& file : prior::kGoldenFiles) {
    codec::StreamInfo info = prior::golden_info();
    info.num_codebooks = file.num_codebooks;
    prior::Coder coder(model, info, pool);
    auto segments = prior::sample_segments(coder, info, 3 * info.segment_frames + 17, file.order, 5);
    // What the prior does not code best: silence, one code always, codes without any rule.
    segments[1][2] = {0, std::vector<uint16_t>(segments[1][2].codes.size())};
    segments[1][0].codes.assign(segments[1][0].codes.size(), 7);
    prior::SplitMix64 random(3);
    for (uint16_t& code : segments[2][3].codes) code = static_cast<uint16_t>(random.below(info.codebook_size));
    write_bytes(folder / (std::string(file.name) + ".vqc"), write_file(coder, info, file.order, segments));
  }
}

int make_material(const std::string& model_id, const std::string& prior_path, const std::string& out,
                  uint64_t num_frames, bool joint) {
  prior::Config config;
  config.model_id = model_id;
  if (!std::filesystem::exists(prior_path)) prior::make_random_prior(config, 1).write(prior_path);
  const auto model = prior::Model::load(prior_path);
  codec::StreamInfo info;
  info.sample_rate_hz = 44100;
  info.num_channels = 2;
  info.hop_samples = 1024;
  info.sources = model->config().sources;
  info.num_codebooks = static_cast<uint32_t>(model->config().num_codebooks);
  info.codebook_size = static_cast<uint32_t>(model->config().codebook_size);
  info.segment_frames = 512;
  for (size_t i = 0; i < info.model_id.size(); ++i)
    info.model_id[i] = static_cast<uint8_t>(std::stoi(model->config().model_id.substr(2 * i, 2), nullptr, 16));
  runtime::ThreadPool pool(0);
  prior::Coder coder(model, info, pool);
  const std::vector<uint32_t> order =
      joint ? prior::joint_order(*model, info.sources) : std::vector<uint32_t>();
  write_bytes(out, write_file(coder, info, order, prior::sample_segments(coder, info, num_frames, order, 5)));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2) {
    make_golden(std::filesystem::path(argv[1]) / "golden");
    return 0;
  }
  if (argc == 5 || argc == 6) return make_material(argv[1], argv[2], argv[3], std::strtoull(argv[4], nullptr, 10), argc == 6);
  std::cerr << "prior_make_fixtures DIR | MODEL_ID PRIOR.safetensors OUT.vqc FRAMES [joint]\n";
  return 1;
}
