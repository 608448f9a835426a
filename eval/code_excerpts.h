// What a model's codes say about excerpts in which one source plays alone: their codes and vectors, which slot of the
// codes carries the sound, and what happens when the codes of one source are decoded in another's place.
//
// A true stem alone is the encoder's input; it gives codes for every slot (one slot a source of the model), as any song
// does. "Own slot" is the slot of the source that plays.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/code_map.h"
#include "eval/tracks.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

inline constexpr double kSoundingDbfs = -50;  // root mean square over both channels, of an excerpt and of a frame
inline constexpr int kNumSoundBands = 24;

struct ExcerptOptions {
  double excerpt_seconds = 5;
  double gap_seconds = 1;                     // between excerpts, so that their frames do not overlap
  double min_seconds = 1;                     // a shorter end of a track is no excerpt
  int max_excerpts = 200;                     // of a source over all tracks, spread evenly
  double max_seconds = 0;                     // of each track, 0 = all
  std::function<void(double)> on_progress{};  // share done
};

struct Excerpt {
  std::string track{};
  int track_index = 0;
  int source = 0;
  double begin_seconds = 0;
  int64_t first_row = 0, num_rows = 0;  // its frames in CodeExcerpts; only those that sound and lie wholly inside
  // Its own slot's codes decoded in each slot's place, against the true source: [num_slots], dB, within +-100.
  std::vector<double> si_sdr_db{}, sdr_db{};
};

struct LeftOutExcerpt {
  std::string track, source, why;  // source may be empty: the whole track
};

// A row is a frame of an excerpt.
struct CodeExcerpts {
  int num_slots = 0, num_codebooks = 0;
  int num_tracks = 0;
  std::vector<Excerpt> excerpts;
  std::vector<int> excerpt_of_row;  // [rows]
  std::vector<uint16_t> codes;      // [rows, num_slots, num_codebooks]
  std::vector<uint16_t> gains;      // [rows, num_slots], of the frame's segment; 0 = silence
  std::vector<float> slot_energy;   // [rows, num_slots] of what each slot decodes to
  // Spectra of the true stem and of the sum of all decoded slots: log10 of the power in bands whose width grows with
  // frequency, less its mean over the bands, so that the level is not in it. [rows, kNumSoundBands]
  std::vector<float> original_bands, decoded_bands;
  std::vector<LeftOutExcerpt> left_out;

  int64_t num_rows() const { return static_cast<int64_t>(excerpt_of_row.size()); }
  int source_of_row(int64_t row) const {
    return excerpts[static_cast<size_t>(excerpt_of_row[static_cast<size_t>(row)])].source;
  }
};

// Reads the tracks in turn, one in memory at a time. Throws Error(kBadFile) when fewer than two sources sound anywhere,
// and errors of list_tracks and read_track.
CodeExcerpts collect_excerpts(const std::shared_ptr<const vqvae::Model>& model, const std::filesystem::path& root,
                              const ExcerptOptions& options, runtime::ThreadPool& pool);

// What stands for a frame.
enum class VectorKind {
  kOwnSlot,            // the quantized vector of the own slot
  kAllSlots,           // those of all slots one after another; zeros for a silent slot
  kAllSlotMagnitudes,  // the same without signs: how much there is of what, whatever its phase
  kTablesAlone,        // of codes drawn at random from the own slot's tables: no sound is in it
  kOriginalBands,      // the true stem's spectrum
  kDecodedBands,       // the spectrum of the sum of all decoded slots
};

// A quantized vector is the table's entry for one codebook, in [0, num_codebooks), or for codebook -1 what the decoder
// gets: the sum of the entries (residual) or all of them one after another (Gumbel). Returns [rows, num_dims] and
// sets num_dims.
std::vector<float> code_vectors(const vqvae::Model& model, const CodeExcerpts& data, const std::vector<int64_t>& rows,
                                VectorKind kind, int codebook, uint64_t seed, int64_t& num_dims);

// At most `max_rows` rows, as many of each source as there are up to an equal share, drawn by `seed`; ascending.
std::vector<int64_t> sample_rows(const CodeExcerpts& data, int64_t max_rows, uint64_t seed);

struct SlotAccuracy {
  double accuracy = 0;                            // share of the rows whose own slot is the loudest of what is decoded
  std::vector<std::vector<double>> loudest;       // [source][slot] share of the source's rows; NaN without rows
  std::vector<std::vector<double>> energy_share;  // [source][slot] mean share of the decoded energy
};
SlotAccuracy slot_accuracy(const CodeExcerpts& data);

// Median over the excerpts of source i decoded in slot j: [source][slot], NaN without excerpts.
std::vector<std::vector<double>> swapped_sdr(const CodeExcerpts& data, bool scale_invariant);

// Of the own slot's codes over all rows, [source][codebook]. Rows of a silent slot are not counted.
std::vector<std::vector<CodeUse>> codebook_use(const vqvae::Model& model, const CodeExcerpts& data);

// True when any two sources have unlike tables in any codebook: then a vector can tell its source by its table alone.
bool has_tables_of_its_own(const vqvae::Model& model);

}  // namespace vqcodec::eval
