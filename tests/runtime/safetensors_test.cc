#include "runtime/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::runtime {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

// A file of this header and so many bytes of data (0, 1, 2, ...).
std::vector<std::byte> make_file(const std::string& header, std::size_t data_size = 0) {
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  file += header;
  for (std::size_t i = 0; i < data_size; ++i) file += static_cast<char>(i);
  return to_bytes(file);
}

Safetensors open(const std::vector<std::byte>& file) { return Safetensors::open_memory(file, "x.safetensors"); }

SafetensorsWriter example() {
  SafetensorsWriter writer;
  writer.set_metadata("licence", "CC0");
  writer.set_metadata("name", "a \"small\" model, \xc3\xa9");
  writer.add_i32("ids", {3}, std::vector<int32_t>{-1, 0, 2147483647});
  writer.add_f16("half", {2, 2}, std::vector<float>{1.0f, -0.5f, 65504.0f, 0x1p-24f});
  writer.add_f32("weight", {2, 3}, std::vector<float>{0.0f, -1.5f, 3.25f, 1e-40f, -0.0f, 3e38f});
  writer.add_f32("scalar", {}, std::vector<float>{7.0f});
  writer.add_f32("nothing", {0, 4}, {});
  return writer;
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  Safetensors file = open(example().bytes());
  EXPECT_EQ(file.name(), "x.safetensors");
  EXPECT_EQ(file.metadata().size(), 2U);
  EXPECT_EQ(file.metadata("licence"), "CC0");
  EXPECT_EQ(file.metadata("name"), "a \"small\" model, \xc3\xa9");
  EXPECT_THAT(file.tensor_names(), ElementsAre("half", "ids", "nothing", "scalar", "weight"));
  EXPECT_TRUE(file.contains("ids"));
  EXPECT_FALSE(file.contains("id"));
  EXPECT_THAT(file.integers("ids", {3}), ElementsAre(-1, 0, 2147483647));
  EXPECT_THAT(file.floats("half", {2, 2}), ElementsAre(1.0f, -0.5f, 65504.0f, 0x1p-24f));
  const std::vector<float> weight = file.floats("weight", {2, 3});
  EXPECT_THAT(weight, ElementsAre(0.0f, -1.5f, 3.25f, 1e-40f, -0.0f, 3e38f));
  EXPECT_TRUE(std::signbit(weight[4]));
  EXPECT_THAT(file.floats("scalar", {}), ElementsAre(7.0f));
  EXPECT_ERROR(file.check_all_used(), ExitCode::kModel,
               HasSubstr("x.safetensors: 1 tensors that its config has no place for: 'nothing'"));
  EXPECT_TRUE(file.floats("nothing", {0, 4}).empty());
  EXPECT_NO_THROW(file.check_all_used());
  EXPECT_EQ(file.sha256(), sha256(example().bytes()));
}

TEST(Safetensors, TheOrderOfCallsDoesNotChangeTheBytes) {
  SafetensorsWriter other;
  other.add_f32("nothing", {0, 4}, {});
  other.add_f32("scalar", {}, std::vector<float>{7.0f});
  other.add_f32("weight", {2, 3}, std::vector<float>{0.0f, -1.5f, 3.25f, 1e-40f, -0.0f, 3e38f});
  other.set_metadata("name", "a \"small\" model, \xc3\xa9");
  other.add_f16("half", {2, 2}, std::vector<float>{1.0f, -0.5f, 65504.0f, 0x1p-24f});
  other.set_metadata("licence", "CC0");
  other.add_i32("ids", {3}, std::vector<int32_t>{-1, 0, 2147483647});
  EXPECT_EQ(other.bytes(), example().bytes());
}

TEST(Safetensors, DataAreAlignedToTheirDtype) {
  const std::vector<std::byte> file = example().bytes();
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  EXPECT_EQ((8 + length) % 64, 0U);
  const auto header = nlohmann::json::parse(std::string(reinterpret_cast<const char*>(file.data()) + 8, length));
  for (const char* name : {"ids", "weight", "scalar"})
    EXPECT_EQ(header[name]["data_offsets"][0].get<uint64_t>() % 4, 0U);
  EXPECT_EQ(header["half"]["data_offsets"][0].get<uint64_t>() % 2, 0U);
}

TEST(Safetensors, AFileOnDiskIsReadBack) {
  const TempDir folder;
  example().write(folder / "model.safetensors");
  EXPECT_THAT(folder.list(), ElementsAre("model.safetensors"));
  Safetensors file = Safetensors::open(folder / "model.safetensors");
  EXPECT_THAT(file.name(), HasSubstr("model.safetensors"));
  EXPECT_THAT(file.integers("ids", {3}), ElementsAre(-1, 0, 2147483647));
  EXPECT_EQ(file.sha256(), sha256_file(folder / "model.safetensors"));
  // Written again over itself.
  example().write(folder / "model.safetensors");
  EXPECT_THAT(folder.list(), ElementsAre("model.safetensors"));
}

TEST(Safetensors, FilesThatCannotBeReadOrWritten) {
  const TempDir folder;
  EXPECT_ERROR(Safetensors::open(folder / "none"), ExitCode::kModel, HasSubstr("none: no such file"));
  EXPECT_ERROR(Safetensors::open(folder.path()), ExitCode::kIo, HasSubstr("not a regular file"));
  EXPECT_ERROR(example().write(folder / "no/such/folder"), ExitCode::kIo, HasSubstr("cannot be written"));
  write_bytes(folder / "empty", "");
  EXPECT_ERROR(Safetensors::open(folder / "empty"), ExitCode::kBadFile,
               HasSubstr("empty: not a whole safetensors file: 0 bytes"));
  write_bytes(folder / "huge", "");
  std::filesystem::resize_file(folder / "huge", (uint64_t{1} << 30) + 1);  // sparse
  EXPECT_ERROR(Safetensors::open(folder / "huge"), ExitCode::kBadFile, HasSubstr("at most 1073741824"));
  write_bytes(folder / "secret", "x");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  if (::geteuid() != 0) {  // root reads everything
    EXPECT_ERROR(Safetensors::open(folder / "secret"), ExitCode::kIo, HasSubstr("cannot be opened"));
  }
}

TEST(Safetensors, ReadsEveryDtypeOfIntegers) {
  const std::string header =
      R"({"i16":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},"i8":{"dtype":"I8","shape":[1],"data_offsets":[4,5]},)"
      R"("u16":{"dtype":"U16","shape":[1],"data_offsets":[5,7]},"u8":{"dtype":"U8","shape":[2],"data_offsets":[7,9]}})";
  std::vector<std::byte> bytes = make_file(header, 9);
  for (std::size_t i = 0; i < 9; ++i) bytes[bytes.size() - 9 + i] = std::byte{static_cast<unsigned char>(0xf8 + i % 8)};
  Safetensors file = open(bytes);
  EXPECT_THAT(file.integers("i16", {2}), ElementsAre(int16_t(0xf9f8 - 0x10000), int16_t(0xfbfa - 0x10000)));
  EXPECT_THAT(file.integers("i8", {1}), ElementsAre(-4));
  EXPECT_THAT(file.integers("u16", {1}), ElementsAre(0xfefd));  // of no alignment
  EXPECT_THAT(file.integers("u8", {2}), ElementsAre(0xff, 0xf8));
}

TEST(Safetensors, ReadsBfloat16) {
  std::vector<std::byte> bytes = make_file(R"({"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", 4);
  const uint16_t values[] = {0x3fc0, 0xc000};
  std::memcpy(bytes.data() + bytes.size() - 4, values, 4);
  EXPECT_THAT(open(bytes).floats("b", {2}), ElementsAre(1.5f, -2.0f));
}

TEST(Safetensors, AnotherShapeDtypeOrNameIsRefused) {
  Safetensors file = open(example().bytes());
  EXPECT_ERROR(file.floats("wieght", {2, 3}), ExitCode::kModel,
               HasSubstr("x.safetensors: tensor 'wieght' is missing, expected F32 or F16 or BF16 [2, 3]"));
  EXPECT_ERROR(file.floats("weight", {3, 2}), ExitCode::kModel,
               HasSubstr("tensor 'weight' is F32 [2, 3], expected F32 or F16 or BF16 [3, 2]"));
  EXPECT_ERROR(file.floats("weight", {6}), ExitCode::kModel, HasSubstr("expected F32 or F16 or BF16 [6]"));
  EXPECT_ERROR(file.floats("ids", {3}), ExitCode::kModel, HasSubstr("tensor 'ids' is I32 [3], expected F32"));
  EXPECT_ERROR(file.integers("weight", {2, 3}), ExitCode::kModel,
               HasSubstr("tensor 'weight' is F32 [2, 3], expected U8"));
  EXPECT_ERROR(file.tensor("half", {2, 2}, {Dtype::kF32}), ExitCode::kModel, HasSubstr("expected F32 [2, 2]"));
  EXPECT_ERROR(file.metadata("title"), ExitCode::kModel, HasSubstr("the metadata have no 'title'"));
}

TEST(Safetensors, NanAndInfinityInWeightsAreRefused) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})";
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    std::vector<std::byte> bytes = make_file(header, 12);
    const float values[] = {1.0f, 2.0f, bad};
    std::memcpy(bytes.data() + bytes.size() - 12, values, 12);
    Safetensors file = open(bytes);
    EXPECT_ERROR(file.floats("w", {3}), ExitCode::kModel,
                 AllOf(HasSubstr("tensor 'w' has "), HasSubstr(std::isnan(bad) ? "NaN" : "an infinite value"),
                       HasSubstr("at element 2")));
  }
  std::vector<std::byte> halves = make_file(R"({"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", 2);
  halves[halves.size() - 2] = std::byte{0x00};
  halves[halves.size() - 1] = std::byte{0x7c};
  EXPECT_ERROR(open(halves).floats("h", {1}), ExitCode::kModel, HasSubstr("an infinite value at element 0"));
}

TEST(Safetensors, NothingIsReadAfterRelease) {
  Safetensors file = open(example().bytes());
  file.release();
  EXPECT_ERROR(file.floats("weight", {2, 3}), ExitCode::kInternal, HasSubstr("read after release"));
  EXPECT_EQ(file.metadata("licence"), "CC0");
}

TEST(Safetensors, ManyUnknownTensorsAreListedInShort) {
  SafetensorsWriter writer;
  for (char c = 'a'; c <= 'h'; ++c) writer.add_f32(std::string(1, c), {}, std::vector<float>{0.0f});
  Safetensors file = open(writer.bytes());
  file.floats("b", {});
  EXPECT_ERROR(file.check_all_used(), ExitCode::kModel,
               HasSubstr("7 tensors that its config has no place for: 'a', 'c', 'd', 'e', 'f', ..."));
}

// ---- files that are refused ----

struct Refusal {
  const char* name;
  std::string header;
  std::size_t data_size;
  const char* message;
};

// By append: GCC 12 warns without reason about chains of + on strings.
std::string tensor(const std::string& name, const std::string& rest) {
  return std::string("\"").append(name).append("\":{").append(rest).append("}");
}

std::string f32(const std::string& shape, const std::string& offsets) {
  return std::string("\"dtype\":\"F32\",\"shape\":").append(shape).append(",\"data_offsets\":").append(offsets);
}

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> all = {
      {"HeaderIsEmpty", "", 4, "the header's length is 0 bytes, expected 2"},
      {"HeaderIsOneByte", "{", 4, "the header's length is 1 bytes, expected 2"},
      {"HeaderIsNotAnObject", "[]", 0, "the header does not begin with '{'"},
      {"HeaderBeginsWithSpace", " {}", 0, "the header does not begin with '{'"},
      {"HeaderIsNotJson", "{\"a\"", 0, "the header is not JSON at byte"},
      {"HeaderIsNotUtf8", "{\"a\xff\":1}", 0, "the header is not JSON at byte"},
      {"BytesAfterJson", "{} {}", 0, "the header is not JSON at byte"},
      {"TensorIsANumber", "{\"a\":1}", 0, "'a' is a number, expected an object"},
      {"TensorIsNull", "{\"a\":null}", 0, "'a' is null, expected an object"},
      {"TensorIsAnArray", "{\"a\":[]}", 0, "'a' is an array, expected an object"},
      {"NameIsEmpty", "{" + tensor("", f32("[1]", "[0,4]")) + "}", 4, "a tensor has an empty name"},
      {"NameTwice", "{" + tensor("a", f32("[1]", "[0,4]")) + "," + tensor("a", f32("[1]", "[4,8]")) + "}", 8,
       "tensor 'a' appears twice"},
      {"KeyTwice", "{" + tensor("a", "\"dtype\":\"F32\"," + f32("[1]", "[0,4]")) + "}", 4,
       "tensor 'a' has the key 'dtype' twice"},
      {"KeyUnknown", "{" + tensor("a", f32("[1]", "[0,4]") + ",\"strides\":[1]") + "}", 4,
       "tensor 'a' has the unknown key 'strides'"},
      {"DtypeMissing", "{" + tensor("a", "\"shape\":[1],\"data_offsets\":[0,4]") + "}", 4, "has no whole 'dtype'"},
      {"ShapeMissing", "{" + tensor("a", "\"dtype\":\"F32\",\"data_offsets\":[0,4]") + "}", 4, "has no whole 'shape'"},
      {"OffsetsMissing", "{" + tensor("a", "\"dtype\":\"F32\",\"shape\":[1]") + "}", 4, "has no whole 'data_offsets'"},
      {"OneOffset", "{" + tensor("a", f32("[1]", "[0]")) + "}", 4, "has no whole 'data_offsets'"},
      {"ThreeOffsets", "{" + tensor("a", f32("[1]", "[0,4,8]")) + "}", 4, "more than two data_offsets"},
      {"DtypeUnknown", "{" + tensor("a", "\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]") + "}", 4,
       "tensor 'a' has the unknown dtype 'F33'"},
      {"DtypeIsANumber", "{" + tensor("a", "\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]") + "}", 4,
       "tensor 'a' has a number in 'dtype'"},
      {"DtypeIsAnArray", "{" + tensor("a", "\"dtype\":[\"F32\"],\"shape\":[1],\"data_offsets\":[0,4]") + "}", 4,
       "tensor 'a' has an array in 'dtype'"},
      {"ShapeIsText", "{" + tensor("a", f32("\"1\"", "[0,4]")) + "}", 4, "tensor 'a' has a string in 'shape'"},
      {"ShapeIsNested", "{" + tensor("a", f32("[[1]]", "[0,4]")) + "}", 4, "tensor 'a' has an array in 'shape'"},
      {"ShapeHasAnObject", "{" + tensor("a", f32("[{}]", "[0,4]")) + "}", 4, "tensor 'a' has an object in 'shape'"},
      {"ShapeIsNegative", "{" + tensor("a", f32("[-1]", "[0,4]")) + "}", 4,
       "tensor 'a' has a negative number in 'shape'"},
      {"ShapeHasAFraction", "{" + tensor("a", f32("[1.0]", "[0,4]")) + "}", 4,
       "a number with a fraction or exponent in 'shape'"},
      {"ShapeHasABoolean", "{" + tensor("a", f32("[true]", "[0,4]")) + "}", 4, "tensor 'a' has a boolean in 'shape'"},
      {"ShapeOverflows", "{" + tensor("a", f32("[4294967296,4294967296]", "[0,4]")) + "}", 4, "which is too large"},
      {"BytesOverflow", "{" + tensor("a", f32("[4611686018427387904]", "[0,4]")) + "}", 4, "which is too large"},
      {"DimensionOverflows", "{" + tensor("a", f32("[18446744073709551615]", "[0,4]")) + "}", 4,
       "has a dimension of 18446744073709551615"},
      {"NineDimensions", "{" + tensor("a", f32("[1,1,1,1,1,1,1,1,1]", "[0,4]")) + "}", 4, "more than 8 dimensions"},
      {"OffsetsBackwards", "{" + tensor("a", f32("[1]", "[4,0]")) + "}", 4, "has data_offsets [4, 0]"},
      {"OffsetsBeyondTheFile", "{" + tensor("a", f32("[2]", "[0,8]")) + "}", 4, "but there are 4 bytes of data"},
      {"OffsetsHuge", "{" + tensor("a", f32("[1]", "[18446744073709551612,18446744073709551615]")) + "}", 4,
       "but there are 4 bytes of data"},
      {"BytesDoNotFillTheShape", "{" + tensor("a", f32("[2]", "[0,4]")) + "}", 4,
       "tensor 'a' has 4 bytes, but F32 [2] takes 8"},
      {"TensorsOverlap", "{" + tensor("a", f32("[2]", "[0,8]")) + "," + tensor("b", f32("[2]", "[4,12]")) + "}", 12,
       "tensor 'b' begins at byte 4 of the data, expected 8: tensors overlap"},
      {"TensorsAreTheSameBytes", "{" + tensor("a", f32("[1]", "[0,4]")) + "," + tensor("b", f32("[1]", "[0,4]")) + "}",
       4, "tensors overlap"},
      {"GapBeforeTheFirst", "{" + tensor("a", f32("[1]", "[4,8]")) + "}", 8, "expected 0: bytes belong to no tensor"},
      {"GapBetween", "{" + tensor("a", f32("[1]", "[0,4]")) + "," + tensor("b", f32("[1]", "[8,12]")) + "}", 12,
       "tensor 'b' begins at byte 8 of the data, expected 4: bytes belong to no tensor"},
      {"BytesAfterTheLast", "{" + tensor("a", f32("[1]", "[0,4]")) + "}", 5,
       "1 bytes after the last tensor belong to none"},
      {"BytesOfNoTensor", "{}", 3, "3 bytes after the last tensor belong to none"},
      {"MetadataTwice", R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__ appears twice"},
      {"MetadataKeyTwice", R"({"__metadata__":{"a":"1","a":"2"}})", 0, "the metadata have the key 'a' twice"},
      {"MetadataHaveANumber", R"({"__metadata__":{"a":1}})", 0, "the metadata's 'a' is a number, expected a string"},
      {"MetadataHaveAnObject", R"({"__metadata__":{"a":{}}})", 0, "the metadata's 'a' is an object, expected a string"},
      {"MetadataIsText", R"({"__metadata__":"a"})", 0, "'__metadata__' is a string, expected an object"},
  };
  return all;
}

class SafetensorsRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(SafetensorsRefusal, NamesFileAndReason) {
  const Refusal& refusal = GetParam();
  EXPECT_ERROR(open(make_file(refusal.header, refusal.data_size)), ExitCode::kBadFile,
               AllOf(HasSubstr("x.safetensors: not a whole safetensors file: "), HasSubstr(refusal.message)));
}

INSTANTIATE_TEST_SUITE_P(Files, SafetensorsRefusal, ::testing::ValuesIn(refusals()),
                         [](const auto& refusal) { return std::string(refusal.param.name); });

TEST(Safetensors, BadHeaderLengthsAreRefused) {
  std::vector<std::byte> file = make_file("{}");
  for (std::size_t size = 0; size < 8; ++size)
    EXPECT_ERROR(open({file.begin(), file.begin() + static_cast<int>(size)}), ExitCode::kBadFile,
                 HasSubstr(std::to_string(size) + " bytes, fewer than the 8 of the header's length"));
  for (uint64_t length : {uint64_t{3}, uint64_t{1} << 40, std::numeric_limits<uint64_t>::max(),
                          std::numeric_limits<uint64_t>::max() - 7}) {
    std::memcpy(file.data(), &length, 8);
    EXPECT_ERROR(open(file), ExitCode::kBadFile,
                 HasSubstr("the header's length is " + std::to_string(length) + " bytes, but only 2 follow"));
  }
}

TEST(Safetensors, HugeHeaderIsRefused) {
  constexpr std::size_t kMost = 16U << 20;
  EXPECT_NO_THROW(open(make_file("{" + std::string(kMost - 2, ' ') + "}")));
  EXPECT_ERROR(open(make_file("{" + std::string(kMost - 1, ' ') + "}")), ExitCode::kBadFile,
               HasSubstr("the header's length is 16777217 bytes, expected 2 to 16777216"));
}

TEST(Safetensors, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_ERROR(open(make_file("{\"a\":" + std::string(1000000, '['))), ExitCode::kBadFile,
               HasSubstr("'a' is an array"));
}

TEST(Safetensors, TooManyTensorsAreRefused) {
  std::string header = "{";
  for (int i = 0; i <= 65536; ++i)
    header.append(i > 0 ? "," : "").append(tensor(std::to_string(i), f32("[0]", "[0,0]")));
  EXPECT_ERROR(open(make_file(header + "}")), ExitCode::kBadFile, HasSubstr("more than 65536 tensors"));
}

TEST(Safetensors, TextOfTheFileIsShownCutAndPrintable) {
  const std::string name = "\\u0007\\n" + std::string(300, 'x');
  EXPECT_ERROR(open(make_file("{" + tensor(name, f32("[2]", "[0,4]")) + "}", 4)), ExitCode::kBadFile,
               HasSubstr("tensor '??" + std::string(98, 'x') + "...' has 4 bytes"));
}

// Every prefix is refused, and a flipped bit never does more than give an error or another value.
TEST(Safetensors, EveryTruncationIsRefused) {
  const std::vector<std::byte> file = example().bytes();
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_ERROR(open({file.begin(), file.begin() + static_cast<int>(size)}), ExitCode::kBadFile,
                 HasSubstr("x.safetensors"));
}

TEST(Safetensors, EveryFlippedBitIsRefusedOrRead) {
  const std::vector<std::byte> file = example().bytes();
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> changed = file;
      changed[i] ^= std::byte{1} << bit;
      try {
        Safetensors read = open(changed);
        EXPECT_NE(read.sha256(), sha256(file));
        for (const std::string& name : read.tensor_names()) {
          try {
            read.floats(name, {2, 3});
          } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::kModel);
          }
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kBadFile) << error.what();
      }
    }
  }
}

// ---- the writer ----

TEST(SafetensorsWriter, WhatDoesNotFitIsRefused) {
  SafetensorsWriter writer;
  const std::vector<float> two = {1.0f, 2.0f};
  writer.add_f32("a", {2}, two);
  EXPECT_ERROR(writer.add_f32("a", {2}, two), ExitCode::kInternal, HasSubstr("'a' cannot be added"));
  EXPECT_ERROR(writer.add_f16("a", {2}, two), ExitCode::kInternal, HasSubstr("'a' cannot be added"));
  EXPECT_ERROR(writer.add_f32("", {2}, two), ExitCode::kInternal, HasSubstr("cannot be added"));
  EXPECT_ERROR(writer.add_f32("__metadata__", {2}, two), ExitCode::kInternal, HasSubstr("cannot be added"));
  EXPECT_ERROR(writer.add_f32("b\xff", {2}, two), ExitCode::kInternal, HasSubstr("not UTF-8"));
  EXPECT_ERROR(writer.add_f32("b", {3}, two), ExitCode::kInternal, HasSubstr("2 values for the shape [3]"));
  EXPECT_ERROR(writer.add_f32("b", {-2, -1}, two), ExitCode::kInternal, HasSubstr("2 values for the shape [-2, -1]"));
  EXPECT_ERROR(writer.add_f32("b", {int64_t{1} << 62, 4}, {}), ExitCode::kInternal, HasSubstr("0 values"));
  EXPECT_ERROR(writer.add_f32("b", {1, 1, 1, 1, 1, 1, 1, 1, 2}, two), ExitCode::kInternal,
               HasSubstr("cannot be added"));
  const float infinity = std::numeric_limits<float>::infinity();
  for (float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    const std::vector<float> values = {1.0f, bad};
    EXPECT_ERROR(writer.add_f32("b", {2}, values), ExitCode::kInternal, HasSubstr("NaN or an infinite value"));
    EXPECT_ERROR(writer.add_f16("b", {2}, values), ExitCode::kInternal, HasSubstr("which half precision cannot hold"));
  }
  const std::vector<float> large = {65520.0f};  // the least that rounds to infinity
  EXPECT_ERROR(writer.add_f16("b", {1}, large), ExitCode::kInternal, HasSubstr("65520"));
  writer.set_metadata("k", "v");
  EXPECT_ERROR(writer.set_metadata("k", "w"), ExitCode::kInternal, HasSubstr("'k' set twice"));
  EXPECT_ERROR(writer.set_metadata("l", "\xc3"), ExitCode::kInternal, HasSubstr("not UTF-8"));
  // Nothing of what was refused is in the file.
  Safetensors file = open(writer.bytes());
  EXPECT_THAT(file.tensor_names(), ElementsAre("a"));
  EXPECT_EQ(file.metadata().size(), 1U);
}

TEST(SafetensorsWriter, EmptyFileIsAFile) {
  Safetensors file = open(SafetensorsWriter().bytes());
  EXPECT_TRUE(file.tensor_names().empty());
  EXPECT_TRUE(file.metadata().empty());
}

// ---- half precision ----

double value_of_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

TEST(HalfPrecision, EveryHalfIsExactAndComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = float_from_f16(half);
    if ((half & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isnan(value), (half & 1023) != 0);
      EXPECT_EQ(std::isinf(value), (half & 1023) == 0);
      if (std::isinf(value)) {
        EXPECT_EQ(f16_from_float(value), half);
      } else {
        EXPECT_GT(f16_from_float(value) & 0x7fff, 0x7c00);
      }
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), value_of_half(half)) << bits;
    ASSERT_EQ(std::signbit(value), (half & 0x8000) != 0) << bits;
    ASSERT_EQ(f16_from_float(value), half) << bits;
  }
}

TEST(HalfPrecision, FloatsRoundToNearestTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const auto above = static_cast<uint16_t>(bits + 1);
    const float middle = static_cast<float>((value_of_half(half) + value_of_half(above)) / 2);  // exact in float32
    const uint16_t even = bits % 2 == 0 ? half : above;
    ASSERT_EQ(f16_from_float(middle), even) << bits;
    ASSERT_EQ(f16_from_float(-middle), even | 0x8000) << bits;
    ASSERT_EQ(f16_from_float(std::nextafterf(middle, 0.0f)), half) << bits;
    ASSERT_EQ(f16_from_float(std::nextafterf(middle, 1e30f)), above) << bits;
  }
  EXPECT_EQ(f16_from_float(65519.996f), 0x7bff);
  EXPECT_EQ(f16_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(f16_from_float(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(f16_from_float(0x1p-149f), 0);
}

TEST(HalfPrecision, Bfloat16IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(float_from_bf16(0x3f80), 1.0f);
  EXPECT_EQ(float_from_bf16(0xc040), -3.0f);
  EXPECT_EQ(float_from_bf16(0x0001), 0x1p-133f);
  EXPECT_TRUE(std::isnan(float_from_bf16(0x7fc0)));
}

TEST(Dtype, NamesAndSizes) {
  EXPECT_STREQ(dtype_name(Dtype::kF8E5M2), "F8_E5M2");
  EXPECT_STREQ(dtype_name(Dtype::kF64), "F64");
  EXPECT_EQ(dtype_size(Dtype::kBool), 1);
  EXPECT_EQ(dtype_size(Dtype::kBF16), 2);
  EXPECT_EQ(dtype_size(Dtype::kF32), 4);
  EXPECT_EQ(dtype_size(Dtype::kI64), 8);
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(to_string(Shape{4, 512}), "[4, 512]");
}

}  // namespace
}  // namespace vqcodec::runtime
