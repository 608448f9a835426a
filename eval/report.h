// One page of everything that the other commands measured in a folder. It needs nothing but itself: plots and audio are in
// it, it has no script, and its security policy lets it load nothing.
//
// What it is made of, all of it optional:
//   sdr.json rate.json speed.json codes.json     of "vqeval <command> --out FOLDER", and the SVG files that they name
//   examples/<track>/{original,decoded}/<stem>.{flac,opus,wav}   players, the two side by side
//   examples/<track>/about.txt                   one line that is shown above its players, such as "10 s from 1:05"
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vqcodec::eval {

struct ReportOptions {
  int64_t max_audio_bytes = 64 << 20;  // of all examples; the page is a third larger
};

struct Report {
  std::string html;                  // UTF-8
  std::vector<std::string> missing;  // a line for each thing that the page does without
};

// Throws Error(kIo) if the folder or a file cannot be read, or holds nothing to show; Error(kBadFile), naming file and
// field, for JSON that none of the commands writes and for plots that are more than drawings; Error(kUsage) if the
// examples are larger than `max_audio_bytes`.
Report make_report(const std::filesystem::path& folder, const ReportOptions& options = {});

}  // namespace vqcodec::eval
