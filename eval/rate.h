// What a model's codes take and what they are worth at each quality level, beside Opus: sizes of whole files part by part,
// and distances of what is decoded.
//
// Rivals: Opus of the mixture (as small as one wants, but one sound), and one Opus stream for each true source at an equal
// share of the rate (a file that can be taken apart, made by somebody who has the sources), 5 kbit/s each or more, which is
// the least that libopus gives. Sizes are those of whole files.
//
// Means over tracks are weighted by the tracks' lengths: rates are all bits over all seconds, and a distance is the mean
// over all seconds. A distance that is not a number for one of a track's points (SI-SDR of silence, say) is left out for
// all of that track's points, so that every curve is a mean over the same music, and it is told.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/distances.h"
#include "eval/json_output.h"
#include "eval/tracks.h"
#include "prior/model.h"

namespace vqcodec::eval {

// What a coder with a prior makes of the codes of one source, streams that are shorter by another coder included.
struct PriorRate {
  uint64_t code_bytes = 0;
  std::vector<double> codebook_bits;  // [num_codebooks], by the coder's own probabilities; code_bytes is a little more
};

// Streams of one source. checksum_bytes + gain_bytes + code_bytes == stream_bytes.
struct SourceRate {
  uint64_t stream_bytes = 0;
  uint64_t checksum_bytes = 0;        // two CRCs a stream
  uint64_t gain_bytes = 0;            // gain and coder of each stream that is not silent
  uint64_t code_bytes = 0;            // what the coder made of the codes
  std::vector<double> codebook_bits;  // [num_codebooks], by the coder's own probabilities; code_bytes is a little more
  double raw_bytes = 0;               // all codes at log2(codebook_size) bits
  uint64_t zstd_packed_bytes = 0;     // zstd -19 of the source's codes of the whole song, at ceil(log2(size)) bits each
  uint64_t zstd_words_bytes = 0;      // the same at two bytes a code, of which zstd often makes less
  uint64_t num_silent_frames = 0;     // of streams that are silent
  uint64_t silent_bytes = 0;          // what those take: stream, and place in the segment's head and in the index
  std::optional<PriorRate> prior{}, joint{};  // with a prior: each source by itself, and given those before it
};

// A .vqc file. header + metadata + segment heads + index + all stream_bytes == file_bytes.
struct FileRate {
  uint32_t num_codebooks = 0;
  uint64_t header_bytes = 0;
  uint64_t metadata_bytes = 0;
  uint64_t segment_head_bytes = 0;
  uint64_t index_bytes = 0;  // index and end mark
  uint64_t file_bytes = 0;
  uint64_t checksum_bytes = 0;  // all CRCs of the file: those of the streams and those within the other parts
  std::vector<SourceRate> sources;
  uint64_t num_frames = 0;
  uint64_t prior_file_bytes = 0, joint_file_bytes = 0;  // of the file with a prior instead; 0: there is none
};

// The song as `vqcodec encode --no-prior` writes it with this metadata (JSON text), and what a prior makes of it. Throws
// Error(kModel, kBadFile) for a prior of another model.
FileRate file_rate(const CodedSong& song, std::string_view metadata_json, runtime::ThreadPool& pool,
                   const std::shared_ptr<const prior::Model>& prior = nullptr);

// The same song at a lower quality: the first num_codebooks of each frame. 1..song.info.num_codebooks.
CodedSong keep_codebooks(const CodedSong& song, int num_codebooks);

// One setting of one codec on one track.
struct RatePoint {
  int setting = 0;            // codebooks kept, or bit/s asked of Opus in all
  uint64_t file_bytes = 0;    // of all files
  uint64_t packet_bytes = 0;  // Opus: without the Ogg pages around them
  Distances mixture;
  std::vector<Distances> sources;  // [num_sources] or empty; all NaN for a source that is not measured
};

struct LeftOutMeasure {
  std::string track, source, what, why;  // source empty: the mixture; what: the distance, empty: all
};

struct TrackRate {
  std::string name;
  double seconds = 0;
  std::vector<FileRate> files;        // one a level
  std::vector<RatePoint> levels;      // ours, the mixture being the sum of the decoded sources
  std::vector<RatePoint> opus;        // of the mixture; no sources
  std::vector<RatePoint> opus_stems;  // of each source; empty without all true sources
  std::vector<std::string> remarks;
};

struct RateOptions {
  std::vector<int> levels{};  // codebooks to keep; empty = 1..all
  std::vector<int> opus_bps{6000, 8000, 12000, 16000, 24000, 32000, 64000};
  std::string metadata_json{};                // of the .vqc files
  std::shared_ptr<const prior::Model> prior{};  // if its coding is to be measured too
  std::function<void(double)> on_progress{};  // share of the track that is done
};

// Throws Error(kUsage) for a level that the model does not have, Error(kBadFile) for a track that cannot be measured: its
// message says why (no sound, too short).
TrackRate measure_rate(const std::shared_ptr<const vqvae::Model>& model, const Track& track, const RateOptions& options,
                       runtime::ThreadPool& pool);

// Takes out of all points of a track the distances that one of them lacks, and tells of them.
std::vector<LeftOutMeasure> drop_incomplete(TrackRate& track, const std::vector<std::string>& sources);

// The report but for its header, model and data: sources, tracks, summary (means, and ours beside Opus at matched rates),
// left_out. `left_out` is what drop_incomplete() told and the tracks that could not be measured.
Json rate_json(const std::vector<TrackRate>& tracks, const std::vector<std::string>& sources,
               const std::vector<LeftOutMeasure>& left_out);

// The plots of such a report: file name and SVG text.
struct RatePlot {
  std::string title, file, svg;
};
std::vector<RatePlot> rate_plots(const Json& report);

// The report for people.
std::string rate_text(const Json& report);

// The value at `x` of the points' curve, linear in log x between its neighbours; NaN outside of the curve or beside a
// point without a value. Points in any order, x > 0.
double interpolate_log(std::span<const std::pair<double, double>> points, double x);

}  // namespace vqcodec::eval
