// Reader and writer of safetensors files: an 8-byte little-endian length, a JSON header of that length, then the
// tensors' bytes. https://huggingface.co/docs/safetensors, and the crate's README for the rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "runtime/sha256.h"

namespace vqcodec::runtime {

enum class Dtype { kBool, kU8, kI8, kF8E5M2, kF8E4M3, kU16, kI16, kF16, kBF16, kU32, kI32, kF32, kU64, kI64, kF64 };

const char* dtype_name(Dtype dtype);  // as in the file: "F32"
int64_t dtype_size(Dtype dtype);      // bytes an element

using Shape = std::vector<int64_t>;

// "[4, 512]"
std::string to_string(const Shape& shape);

struct TensorView {
  Dtype dtype = Dtype::kF32;
  Shape shape;                       // [] is a scalar
  std::span<const std::byte> bytes;  // little-endian, row-major, of any alignment; owned by the Safetensors
};

// A whole file in memory, checked on opening: header length, JSON, no name or key twice, known dtypes, shapes whose size
// does not overflow and agrees with their bytes, data without holes, overlaps or bytes left over. Limits: file 1 GiB,
// header 16 MiB, 65536 tensors, 8 dimensions.
class Safetensors {
 public:
  Safetensors(Safetensors&&) = default;
  Safetensors& operator=(Safetensors&&) = default;

  // Throws Error(kIo) if the file is not a regular file or cannot be read, Error(kModel) if it is missing, and
  // Error(kBadFile) if it is no well-formed safetensors file.
  static Safetensors open(const std::filesystem::path& path);

  // The same from bytes, which are copied; `name` stands for the file in messages.
  static Safetensors open_memory(std::span<const std::byte> bytes, const std::string& name);

  const std::string& name() const { return name_; }
  const Sha256& sha256() const { return sha256_; }  // of the whole file

  // __metadata__.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Throws Error(kModel) if the key is missing.
  const std::string& metadata(const std::string& key) const;
  // Throws Error(kModel) if the metadata's "format" is missing or another.
  void check_format(const std::string& expected) const;

  std::vector<std::string> tensor_names() const;  // sorted
  bool contains(const std::string& tensor) const { return tensors_.count(tensor) > 0; }
  const Shape& shape(const std::string& tensor) const { return tensors_.at(tensor).shape; }  // contains(tensor)

  // The tensor, marked as used. Throws Error(kModel), naming file, tensor, what was found and what was expected, if it is
  // missing or has another shape or a dtype that is not among `dtypes`.
  const TensorView& tensor(const std::string& name, const Shape& shape, std::initializer_list<Dtype> dtypes);

  // A tensor of F32, F16 or BF16 as float32 (exact). Throws Error(kModel) as tensor() does, and if a value is NaN or
  // infinite.
  std::vector<float> floats(const std::string& name, const Shape& shape);

  // A tensor of U8, I8, U16, I16 or I32 as int32. Throws Error(kModel) as tensor() does.
  std::vector<int32_t> integers(const std::string& name, const Shape& shape);

  // Throws Error(kModel) naming the tensors that nobody asked for, if there are any.
  void check_all_used() const;

  // Gives the bytes back once everything is read: tensor(), floats() and integers() must not be called any more.
  void release();

 private:
  Safetensors(std::vector<std::byte> bytes, std::string name);
  [[noreturn]] void refuse(const std::string& what) const;  // Error(kBadFile)

  std::string name_;
  std::vector<std::byte> bytes_;  // the whole file
  Sha256 sha256_{};
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TensorView> tensors_;
  std::set<std::string> used_;
};

// Builds a file: the same calls, in any order, give the same bytes. The data begin on a multiple of 64 bytes; wider
// dtypes come first and then names in order, so that every tensor is aligned to its dtype (the format allows no holes).
class SafetensorsWriter {
 public:
  // Throws Error(kInternal) if the key exists, or if it or the value is not UTF-8.
  void set_metadata(const std::string& key, const std::string& value);

  // Throw Error(kInternal) if the name exists, is empty or is not UTF-8, or if the values do not fill the shape; f16 (rounded to
  // nearest, ties to even) also if a value is NaN, infinite or rounds to infinity, f32 if it is NaN or infinite.
  void add_f32(const std::string& name, const Shape& shape, std::span<const float> values);
  void add_f16(const std::string& name, const Shape& shape, std::span<const float> values);
  void add_i32(const std::string& name, const Shape& shape, std::span<const int32_t> values);
  void add_u16(const std::string& name, const Shape& shape, std::span<const uint16_t> values);

  std::vector<std::byte> bytes() const;

  // Writes to a temporary file beside `path` and renames it. Throws Error(kIo).
  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    Dtype dtype;
    Shape shape;
    std::vector<std::byte> bytes;
  };
  Entry& add(const std::string& name, Dtype dtype, const Shape& shape, std::size_t num_values);
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Entry> entries_;
};

// IEEE 754 binary16 and bfloat16 to float32, exact.
float float_from_f16(uint16_t bits);
float float_from_bf16(uint16_t bits);

// float32 to binary16, to nearest, ties to even; beyond its range infinity, NaN stays NaN.
uint16_t f16_from_float(float value);

}  // namespace vqcodec::runtime
