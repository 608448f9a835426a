// consumer FILE.vqc TEXT_FILE: reads codes, and sees the right errors for a model that is not there and for audio that is
// none.
#include <cstdio>

#include "audio/reader.h"
#include "base/error.h"
#include "codec/byte_io.h"
#include "codec/vqc_reader.h"
#include "vqvae/decoder.h"
#include "vqvae/encoder.h"
#include "vqvae/model.h"

namespace {

template <class Open>
bool fails_with(vqcodec::ExitCode code, Open open) {
  try {
    open();
  } catch (const vqcodec::Error& error) {
    std::printf("refused: %s\n", error.what());
    return error.code() == code;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  const auto file = vqcodec::codec::FileSource::open(argv[1]);
  if (!file.ok()) return 2;
  const auto reader = vqcodec::codec::VqcReader::open(**file);
  if (!reader.ok()) return 3;
  const auto segment = reader.value().read_source_segment(0, 0);
  if (!segment.ok()) return 4;
  std::printf("%zu codes of %s\n", segment.value().codes.size(), reader.value().info().sources[0].c_str());
  if (!fails_with(vqcodec::ExitCode::kModel, [] { vqcodec::vqvae::Model::load("nowhere.safetensors"); })) return 5;
  if (!fails_with(vqcodec::ExitCode::kBadFile, [&] { vqcodec::audio::AudioReader::open(argv[2]); })) return 6;
  return 0;
}
