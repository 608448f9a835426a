#include "runtime/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace vqcodec::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are little-endian and are read as they are");

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
constexpr std::size_t kMaxTensors = 65536;
constexpr std::size_t kMaxDimensions = 8;
constexpr std::size_t kLengthBytes = 8;
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeInfo {
  const char* name;
  int size;
};
// In the order of Dtype.
constexpr DtypeInfo kDtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
                                 {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                                 {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};

// Text from a file, fit for a message: short, and printable ASCII only.
std::string quote(const std::string& text) {
  constexpr std::size_t kMaxShown = 100;
  std::string shown = "'";
  for (char c : text.substr(0, kMaxShown)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > kMaxShown ? "...'" : "'");
}

// Elements of the shape, or -1 if their number or their bytes do not fit in an int64.
int64_t num_elements(const Shape& shape, Dtype dtype) {
  int64_t count = 1;
  bool has_zero = false;
  for (int64_t size : shape) {
    if (size < 0) return -1;
    if (size == 0) has_zero = true;
  }
  if (has_zero) return 0;
  int64_t bytes = 0;
  for (int64_t size : shape)
    if (__builtin_mul_overflow(count, size, &count)) return -1;
  return __builtin_mul_overflow(count, dtype_size(dtype), &bytes) ? -1 : count;
}

// Walks the header's JSON without building a tree of it: {name: {dtype, shape, data_offsets}, __metadata__: {key: text}}.
// Anything else stops the parse with `error` set.
class HeaderParser : public nlohmann::json_sax<nlohmann::json> {
 public:
  struct Entry {
    std::string dtype;
    Shape shape;
    std::vector<uint64_t> offsets;
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
  };
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string error;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number with a fraction or exponent");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        return fail("tensor " + quote(name_) + " has a dimension of " + std::to_string(value));
      if (entry_->shape.size() == kMaxDimensions)
        return fail("tensor " + quote(name_) + " has more than " + std::to_string(kMaxDimensions) + " dimensions");
      entry_->shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (entry_->offsets.size() == 2) return fail("tensor " + quote(name_) + " has more than two data_offsets");
      entry_->offsets.push_back(value);
      return true;
    }
    return unexpected("a number");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata[key_] = value;
      return true;
    }
    if (place_ == Place::kTensor && key_ == "dtype") {
      entry_->dtype = value;
      return true;
    }
    return unexpected("a string");
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return unexpected("an object");
    place_ = name_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
    return true;
  }

  bool key(string_t& key) override {
    key_ = key;
    if (place_ == Place::kMetadata)
      return metadata.count(key) == 0 || fail("the metadata have the key " + quote(key) + " twice");
    if (place_ == Place::kTop) {
      name_ = key;
      if (key == kMetadataKey) {
        if (std::exchange(has_metadata_, true)) return fail("__metadata__ appears twice");
        return true;
      }
      if (key.empty()) return fail("a tensor has an empty name");
      if (entries.size() == kMaxTensors) return fail("more than " + std::to_string(kMaxTensors) + " tensors");
      const auto [place, is_new] = entries.try_emplace(key);
      if (!is_new) return fail("tensor " + quote(key) + " appears twice");
      entry_ = &place->second;
      return true;
    }
    bool* seen = key == "dtype"          ? &entry_->has_dtype
                 : key == "shape"        ? &entry_->has_shape
                 : key == "data_offsets" ? &entry_->has_offsets
                                         : nullptr;
    if (seen == nullptr) return fail("tensor " + quote(name_) + " has the unknown key " + quote(key));
    if (std::exchange(*seen, true)) return fail("tensor " + quote(name_) + " has the key " + quote(key) + " twice");
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      const char* missing = !entry_->has_dtype            ? "dtype"
                            : !entry_->has_shape          ? "shape"
                            : entry_->offsets.size() != 2 ? "data_offsets"
                                                          : nullptr;
      if (missing != nullptr) return fail("tensor " + quote(name_) + " has no whole '" + missing + "'");
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTensor || key_ == "dtype") return unexpected("an array");
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    return fail("the header is not JSON at byte " + std::to_string(position));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool fail(const std::string& what) {
    if (error.empty()) error = what;
    return false;
  }

  bool unexpected(const char* what) {
    switch (place_) {
      case Place::kStart:
      case Place::kEnd: return fail(std::string("the header is ") + what + ", expected an object");
      case Place::kTop: return fail(quote(name_) + " is " + what + ", expected an object");
      case Place::kMetadata: return fail("the metadata's " + quote(key_) + " is " + what + ", expected a string");
      default: return fail("tensor " + quote(name_) + " has " + what + " in " + quote(key_));
    }
  }

  Place place_ = Place::kStart;
  std::string name_;        // of the tensor, or __metadata__
  std::string key_;         // last key
  Entry* entry_ = nullptr;  // of the tensor
  bool has_metadata_ = false;
};

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void widen(std::span<const std::byte> bytes, std::vector<int32_t>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = read_at<T>(bytes, i);
}

std::string dtype_list(std::initializer_list<Dtype> dtypes) {
  std::string text;
  for (Dtype dtype : dtypes) text += (text.empty() ? "" : " or ") + std::string(dtype_name(dtype));
  return text;
}

}  // namespace

const char* dtype_name(Dtype dtype) { return kDtypes[static_cast<int>(dtype)].name; }
int64_t dtype_size(Dtype dtype) { return kDtypes[static_cast<int>(dtype)].size; }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Safetensors Safetensors::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found)
    throw Error(ExitCode::kModel, name + ": no such file; expected a safetensors model");
  if (error) throw Error(ExitCode::kIo, name + ": " + error.message());
  if (status.type() != std::filesystem::file_type::regular)
    throw Error(ExitCode::kIo, name + ": not a regular file; expected a safetensors model");
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) throw Error(ExitCode::kIo, name + ": " + error.message());
  if (size > kMaxFileBytes)
    throw Error(ExitCode::kBadFile,
                name + ": " + std::to_string(size) + " bytes; a model has at most " + std::to_string(kMaxFileBytes));
  std::vector<std::byte> bytes(size);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ExitCode::kIo, name + ": cannot be opened: " + std::generic_category().message(errno));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file) throw Error(ExitCode::kIo, name + ": cannot be read to its end");
  return Safetensors(std::move(bytes), name);
}

Safetensors Safetensors::open_memory(std::span<const std::byte> bytes, const std::string& name) {
  return Safetensors(std::vector<std::byte>(bytes.begin(), bytes.end()), name);
}

void Safetensors::refuse(const std::string& what) const {
  throw Error(ExitCode::kBadFile, name_ + ": not a whole safetensors file: " + what);
}

Safetensors::Safetensors(std::vector<std::byte> bytes, std::string name)
    : name_(std::move(name)), bytes_(std::move(bytes)) {
  if (bytes_.size() < kLengthBytes)
    refuse(std::to_string(bytes_.size()) + " bytes, fewer than the 8 of the header's length");
  const auto header_size = read_at<uint64_t>(bytes_, 0);
  const uint64_t after_length = bytes_.size() - kLengthBytes;
  if (header_size > after_length)
    refuse("the header's length is " + std::to_string(header_size) + " bytes, but only " +
           std::to_string(after_length) + " follow");
  if (header_size < 2 || header_size > kMaxHeaderBytes)
    refuse("the header's length is " + std::to_string(header_size) + " bytes, expected 2 to " +
           std::to_string(kMaxHeaderBytes));
  const char* header = reinterpret_cast<const char*>(bytes_.data() + kLengthBytes);
  if (*header != '{') refuse("the header does not begin with '{'");

  HeaderParser parser;
  bool is_parsed = false;
  try {
    is_parsed = nlohmann::json::sax_parse(header, header + header_size, &parser);
  } catch (const nlohmann::json::exception&) {
    refuse("the header is not JSON");
  }
  if (!is_parsed) refuse(parser.error);

  const std::span<const std::byte> data = std::span<const std::byte>(bytes_).subspan(kLengthBytes + header_size);
  struct Extent {
    uint64_t begin, end;
    const std::string* name;
  };
  std::vector<Extent> extents;
  for (auto& [tensor_name, entry] : parser.entries) {
    const auto* info = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                    [&dtype = entry.dtype](const DtypeInfo& known) { return dtype == known.name; });
    if (info == std::end(kDtypes))
      refuse("tensor " + quote(tensor_name) + " has the unknown dtype " + quote(entry.dtype));
    const auto dtype = static_cast<Dtype>(info - std::begin(kDtypes));
    const int64_t count = num_elements(entry.shape, dtype);
    if (count < 0)
      refuse("tensor " + quote(tensor_name) + " has the shape " + to_string(entry.shape) + ", which is too large");
    const uint64_t begin = entry.offsets[0];
    const uint64_t end = entry.offsets[1];
    if (begin > end || end > data.size())
      refuse("tensor " + quote(tensor_name) + " has data_offsets [" + std::to_string(begin) + ", " +
             std::to_string(end) + "], but there are " + std::to_string(data.size()) + " bytes of data");
    if (end - begin != static_cast<uint64_t>(count * dtype_size(dtype)))
      refuse("tensor " + quote(tensor_name) + " has " + std::to_string(end - begin) + " bytes, but " + info->name +
             " " + to_string(entry.shape) + " takes " + std::to_string(count * dtype_size(dtype)));
    const TensorView view{dtype, std::move(entry.shape), data.subspan(begin, end - begin)};
    extents.push_back({begin, end, &tensors_.emplace(tensor_name, view).first->first});
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t position = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != position)
      refuse("tensor " + quote(*extent.name) + " begins at byte " + std::to_string(extent.begin) +
             " of the data, expected " + std::to_string(position) + ": " +
             (extent.begin < position ? "tensors overlap" : "bytes belong to no tensor"));
    position = extent.end;
  }
  if (position != data.size())
    refuse(std::to_string(data.size() - position) + " bytes after the last tensor belong to none");
  metadata_ = std::move(parser.metadata);
  sha256_ = runtime::sha256(bytes_);
}

const std::string& Safetensors::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    throw Error(ExitCode::kModel, name_ + ": the metadata have no '" + key + "'; this is not a model of this program");
  return found->second;
}

void Safetensors::check_format(const std::string& expected) const {
  const std::string& format = metadata("format");
  if (format != expected)
    throw Error(ExitCode::kModel,
                name_ + ": format is \"" + format.substr(0, 60) + "\", expected \"" + expected + "\"");
}

std::vector<std::string> Safetensors::tensor_names() const {
  std::vector<std::string> names;
  for (const auto& [tensor_name, view] : tensors_) names.push_back(tensor_name);
  return names;
}

const TensorView& Safetensors::tensor(const std::string& name, const Shape& shape,
                                      std::initializer_list<Dtype> dtypes) {
  const std::string expected = "expected " + dtype_list(dtypes) + " " + to_string(shape);
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw Error(ExitCode::kModel, name_ + ": tensor '" + name + "' is missing, " + expected);
  const TensorView& view = found->second;
  if (view.shape != shape || std::find(dtypes.begin(), dtypes.end(), view.dtype) == dtypes.end())
    throw Error(ExitCode::kModel, name_ + ": tensor '" + name + "' is " + dtype_name(view.dtype) + " " +
                                      to_string(view.shape) + ", " + expected);
  if (bytes_.empty()) throw Error(ExitCode::kInternal, name_ + ": tensor '" + name + "' read after release");
  used_.insert(name);
  return view;
}

std::vector<float> Safetensors::floats(const std::string& name, const Shape& shape) {
  const TensorView& view = tensor(name, shape, {Dtype::kF32, Dtype::kF16, Dtype::kBF16});
  std::vector<float> values(view.bytes.size() / static_cast<std::size_t>(dtype_size(view.dtype)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = view.dtype == Dtype::kF32   ? read_at<float>(view.bytes, i)
                : view.dtype == Dtype::kF16 ? float_from_f16(read_at<uint16_t>(view.bytes, i))
                                            : float_from_bf16(read_at<uint16_t>(view.bytes, i));
    if (!std::isfinite(values[i]))
      throw Error(ExitCode::kModel, name_ + ": tensor '" + name + "' has " +
                                        (std::isnan(values[i]) ? "NaN" : "an infinite value") + " at element " +
                                        std::to_string(i));
  }
  return values;
}

std::vector<int32_t> Safetensors::integers(const std::string& name, const Shape& shape) {
  const TensorView& view = tensor(name, shape, {Dtype::kU8, Dtype::kI8, Dtype::kU16, Dtype::kI16, Dtype::kI32});
  std::vector<int32_t> values(view.bytes.size() / static_cast<std::size_t>(dtype_size(view.dtype)));
  switch (view.dtype) {
    case Dtype::kU8: widen<uint8_t>(view.bytes, values); break;
    case Dtype::kI8: widen<int8_t>(view.bytes, values); break;
    case Dtype::kU16: widen<uint16_t>(view.bytes, values); break;
    case Dtype::kI16: widen<int16_t>(view.bytes, values); break;
    default: widen<int32_t>(view.bytes, values);
  }
  return values;
}

void Safetensors::check_all_used() const {
  constexpr int kMaxListed = 5;
  std::string unknown;
  int num_unknown = 0;
  for (const auto& [tensor_name, view] : tensors_)
    if (used_.count(tensor_name) == 0 && ++num_unknown <= kMaxListed)
      unknown += (num_unknown > 1 ? ", " : "") + quote(tensor_name);
  if (num_unknown > 0)
    throw Error(ExitCode::kModel, name_ + ": " + std::to_string(num_unknown) +
                                      " tensors that its config has no place for: " + unknown +
                                      (num_unknown > kMaxListed ? ", ..." : ""));
}

void Safetensors::release() {
  for (auto& [tensor_name, view] : tensors_) view.bytes = {};
  bytes_ = {};
}

void SafetensorsWriter::set_metadata(const std::string& key, const std::string& value) {
  try {
    (void)nlohmann::json({key, value}).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ExitCode::kInternal, "metadata " + quote(key) + ": not UTF-8");
  }
  if (!metadata_.emplace(key, value).second) throw Error(ExitCode::kInternal, "metadata " + quote(key) + " set twice");
}

SafetensorsWriter::Entry& SafetensorsWriter::add(const std::string& name, Dtype dtype, const Shape& shape,
                                                 std::size_t num_values) {
  try {
    (void)nlohmann::json(name).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ExitCode::kInternal, "tensor " + quote(name) + ": its name is not UTF-8");
  }
  if (name.empty() || name == kMetadataKey || entries_.count(name) > 0 || entries_.size() == kMaxTensors ||
      shape.size() > kMaxDimensions)
    throw Error(ExitCode::kInternal, "tensor " + quote(name) + " cannot be added: no or a used name, or too many");
  const int64_t count = num_elements(shape, dtype);
  if (count < 0 || static_cast<uint64_t>(count) != num_values)
    throw Error(ExitCode::kInternal, "tensor " + quote(name) + " has " + std::to_string(num_values) +
                                         " values for the shape " + to_string(shape));
  Entry& entry = entries_[name];
  entry.dtype = dtype;
  entry.shape = shape;
  entry.bytes.resize(num_values * static_cast<std::size_t>(dtype_size(dtype)));
  return entry;
}

void SafetensorsWriter::add_f32(const std::string& name, const Shape& shape, std::span<const float> values) {
  for (float value : values)
    if (!std::isfinite(value))
      throw Error(ExitCode::kInternal, "tensor " + quote(name) + " has NaN or an infinite value");
  Entry& entry = add(name, Dtype::kF32, shape, values.size());
  if (!values.empty()) std::memcpy(entry.bytes.data(), values.data(), entry.bytes.size());
}

void SafetensorsWriter::add_f16(const std::string& name, const Shape& shape, std::span<const float> values) {
  constexpr uint16_t kExponent = 0x7c00;
  std::vector<uint16_t> halves;
  halves.reserve(values.size());
  for (float value : values) {
    halves.push_back(f16_from_float(value));
    if ((halves.back() & kExponent) == kExponent)
      throw Error(ExitCode::kInternal, "tensor " + quote(name) + " has " + std::to_string(value) +
                                           ", which half precision cannot hold; export it in single precision");
  }
  Entry& entry = add(name, Dtype::kF16, shape, values.size());
  if (!halves.empty()) std::memcpy(entry.bytes.data(), halves.data(), entry.bytes.size());
}

void SafetensorsWriter::add_i32(const std::string& name, const Shape& shape, std::span<const int32_t> values) {
  Entry& entry = add(name, Dtype::kI32, shape, values.size());
  if (!values.empty()) std::memcpy(entry.bytes.data(), values.data(), entry.bytes.size());
}

void SafetensorsWriter::add_u16(const std::string& name, const Shape& shape, std::span<const uint16_t> values) {
  Entry& entry = add(name, Dtype::kU16, shape, values.size());
  if (!values.empty()) std::memcpy(entry.bytes.data(), values.data(), entry.bytes.size());
}

std::vector<std::byte> SafetensorsWriter::bytes() const {
  constexpr std::size_t kAlignment = 64;
  std::vector<const std::pair<const std::string, Entry>*> order;
  for (const auto& item : entries_) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->second.dtype) > dtype_size(b->second.dtype);
  });
  nlohmann::json header = nlohmann::json::object();
  if (!metadata_.empty()) header[kMetadataKey] = metadata_;
  std::size_t position = 0;
  for (const auto* item : order) {
    const Entry& entry = item->second;
    header[item->first] = {{"dtype", dtype_name(entry.dtype)},
                           {"shape", entry.shape},
                           {"data_offsets", {position, position + entry.bytes.size()}}};
    position += entry.bytes.size();
  }
  std::string text = header.dump();
  while ((kLengthBytes + text.size()) % kAlignment != 0) text += ' ';
  const uint64_t header_size = text.size();
  if (header_size > kMaxHeaderBytes || kLengthBytes + header_size + position > kMaxFileBytes)
    throw Error(ExitCode::kInternal,
                "the model is too large for a file: " + std::to_string(position) + " bytes of tensors");

  std::vector<std::byte> file(kLengthBytes + text.size() + position);
  std::memcpy(file.data(), &header_size, kLengthBytes);
  std::memcpy(file.data() + kLengthBytes, text.data(), text.size());
  auto to = file.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + text.size());
  for (const auto* item : order) to = std::copy(item->second.bytes.begin(), item->second.bytes.end(), to);
  return file;
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  const std::vector<std::byte> file = bytes();
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(temporary, path, error);
  if (!out || error) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw Error(ExitCode::kIo, path.string() + ": cannot be written" + (error ? ": " + error.message() : ""));
  }
}

float float_from_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 31;
  const uint32_t fraction = bits & 1023;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

float float_from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t f16_from_float(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  uint32_t half = 0;
  if (magnitude > 0x7f800000) {
    half = 0x7e00;  // NaN
  } else if (magnitude >= 0x47800000) {
    half = 0x7c00;  // 65536 and more
  } else if (magnitude < 0x38800000) {
    // Below 2^-14: to a multiple of 2^-24. Adding 0.5 lets the float's own rounding do it.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {
    const uint32_t rebased = magnitude - ((127 - 15) << 23);
    half = (rebased + 0xfff + (rebased >> 13 & 1)) >> 13;  // may carry into infinity, as it should
  }
  return static_cast<uint16_t>(sign | half);
}

}  // namespace vqcodec::runtime
