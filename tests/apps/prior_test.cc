// vqcodec with priors: the golden ones are of random weights for the tiny model, and code their own files best.
#include <nlohmann/json.hpp>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "prior/random_prior.h"
#include "runtime/sha256.h"
#include "tests/apps/vqcodec_program.h"
#include "tests/prior/golden_prior.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Prior : public Vqcodec {
 protected:
  static std::string golden(const std::string& name) {
    return std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/golden/" + name;
  }
  static std::string prior() { return golden("prior.safetensors"); }
  static std::string prior_id() {
    const std::string bytes = read_bytes(prior());
    return runtime::to_hex(runtime::sha256(std::as_bytes(std::span(bytes))));
  }
  std::string random_prior(uint64_t seed) {
    const std::string path = dir_ / ("prior-" + std::to_string(seed) + ".safetensors");
    prior::make_random_prior(prior::golden_config(), seed).write(path);
    return path;
  }
  static json info(const std::string& path, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"info", "--json", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json::parse(ok(arguments).out);
  }
  std::vector<float> decoded(const std::string& path, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"decode", path, "-o", dir_ / "decoded.wav", "--bits", "float", "--force",
                                          "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ok(arguments);
    return read_audio(dir_ / "decoded.wav");
  }
};

TEST_F(Prior, GoldenFilesSoundAsWithoutIt) {
  for (const char* name : {"prior.vqc", "prior_joint.vqc", "prior_low.vqc"}) {
    const std::string plain = dir_ / ("plain_" + std::string(name));
    ok({"transcode", golden(name), "-o", plain, "--from-prior", prior(), "--no-prior", "--quiet"});
    EXPECT_TRUE(info(plain)["prior"].is_null());
    EXPECT_FALSE(info(golden(name))["prior"].is_null());
    const auto whole = decoded(plain);
    EXPECT_EQ(decoded(golden(name), {"--prior", prior()}), whole) << name;
    EXPECT_EQ(decoded(golden(name), {"--prior", prior(), "--sources", "bass", "--threads", "5"}),
              decoded(plain, {"--sources", "bass"}))
        << name;
    EXPECT_EQ(decoded(golden(name), {"--prior", prior(), "--from", "0.2", "--to", "0.6"}),
              decoded(plain, {"--from", "0.2", "--to", "0.6"}))
        << name;
    // A pipe, and the prior in the environment.
    const RunOptions piped{.stdin_path = golden(name), .environment = {{"VQCODEC_PRIOR", prior()}}};
    ok({"decode", "-", "-o", dir_ / "piped.wav", "--bits", "float", "--force"}, piped);
    EXPECT_EQ(read_audio(dir_ / "piped.wav"), whole) << name;
  }
}

TEST_F(Prior, TranscodingGoesToAndFroAndJoint) {
  const std::string plain = dir_ / "plain.vqc", back = dir_ / "back.vqc", joint = dir_ / "joint.vqc";
  const Outcome outcome = ok({"transcode", golden("prior.vqc"), "-o", plain, "--from-prior", prior(), "--no-prior"});
  EXPECT_THAT(outcome.err, HasSubstr("the same codes as"));
  ok({"transcode", plain, "-o", back, "--prior", prior(), "--quiet"});
  ok({"transcode", back, "-o", joint, "--from-prior", prior(), "--prior", prior(), "--joint", "--quiet"});
  // The streams are those of the golden file: the same prior codes the same codes.
  const json golden_info = info(golden("prior.vqc")), back_info = info(back), joint_info = info(joint);
  EXPECT_EQ(back_info["sources"], golden_info["sources"]);
  EXPECT_EQ(back_info["metadata"]["title"], golden_info["metadata"]["title"]);
  EXPECT_EQ(back_info["metadata"]["prior_name"], "random-11");
  EXPECT_EQ(joint_info["prior"]["joint_order"], json({"drums", "bass", "other", "vocals"}));
  EXPECT_EQ(decoded(joint, {"--prior", prior()}), decoded(plain));
  // From a pipe, and onto itself.
  ok({"transcode", "-", "-o", back, "--force", "--no-prior", "--quiet"}, {.stdin_path = plain});
  EXPECT_EQ(info(back)["sources"], info(plain)["sources"]);
  ok({"transcode", back, "-o", back, "--force", "--prior", prior(), "--quiet"});
  EXPECT_EQ(info(back)["sources"], golden_info["sources"]);
  fails({"transcode", plain, "-o", "-"}, ExitCode::kUsage, "standard output");
  fails({"transcode", plain, "-o", back}, ExitCode::kUsage, "exists");
  fails({"transcode", plain}, ExitCode::kUsage, "-o");
  fails({"transcode", golden("prior.vqc"), "-o", dir_ / "x.vqc", "--from-prior", random_prior(3)}, ExitCode::kModel,
        prior_id().substr(0, 12));
  std::string damaged = read_bytes(plain);
  damaged[400] = static_cast<char>(damaged[400] ^ 1);
  write_bytes(dir_ / "damaged.vqc", damaged);
  fails({"transcode", dir_ / "damaged.vqc", "-o", dir_ / "x.vqc", "--no-prior", "--quiet"}, ExitCode::kBadFile,
        "damaged");
}

TEST_F(Prior, EncodingDoesNotDependOnThreadsAndPaths) {
  for (const bool joint : {false, true}) {
    std::vector<std::string> first;
    std::string bytes;
    for (const std::string threads : {"1", "2", "5"}) {
      for (const std::string cpu : {"portable", ""}) {
        std::vector<std::string> arguments = {"encode",  song(),    "-o",      dir_ / "out.vqc", "--force", "--quiet",
                                              "--prior", prior(), "--threads", threads};
        if (joint) arguments.push_back("--joint");
        ok(arguments, {.environment = {{"VQCODEC_CPU", cpu}}});
        const std::string found = read_bytes(dir_ / "out.vqc");
        if (bytes.empty()) bytes = found;
        ASSERT_EQ(found, bytes) << threads << ' ' << cpu;
      }
    }
    EXPECT_EQ(info(dir_ / "out.vqc")["prior"]["id"], prior_id());
    EXPECT_EQ(info(dir_ / "out.vqc")["prior"]["joint_order"].empty(), !joint);
    EXPECT_EQ(decoded(dir_ / "out.vqc", {"--prior", prior()}), whole_);
  }
}

TEST_F(Prior, LowerQualityUsesTheSamePrior) {
  for (const std::string quality : {"1", "2"}) {
    const std::string with = dir_ / ("with" + quality), without = dir_ / ("without" + quality);
    ok({"encode", song(), "-o", with, "--quality", quality, "--prior", prior(), "--quiet"});
    ok({"encode", song(), "-o", without, "--quality", quality, "--no-prior", "--quiet"});
    EXPECT_EQ(decoded(with, {"--prior", prior()}), decoded(without));
  }
}

TEST_F(Prior, WithoutOneThatFitsTheAdaptiveModelCodesAndSaysSo) {
  const std::string out = dir_ / "out.vqc";
  const RunOptions none{.environment = {{"VQCODEC_PRIOR", ""}}};
  EXPECT_THAT(ok({"encode", song(), "-o", out}, none).err, HasSubstr("the adaptive model codes alone"));
  EXPECT_EQ(read_bytes(out), read_bytes(vqc()));
  EXPECT_EQ(ok({"encode", song(), "-o", out, "--force", "--quiet"}, none).err, "");
  EXPECT_THAT(ok({"encode", song(), "-o", out, "--force", "--no-prior"}, none).err, Not(HasSubstr("adaptive")));
  // The default one is for another model.
  vqvae::write_tiny_model(dir_ / "other.safetensors", 2);
  const RunOptions other{.environment = {{"VQCODEC_PRIOR", prior()}}};
  const std::vector<std::string> with_other = {"encode", song(), "-o", out, "--force", "--model",
                                               dir_ / "other.safetensors"};
  const Outcome outcome = ok(with_other, other);
  EXPECT_THAT(outcome.err, HasSubstr("is for codes of model " + prior::golden_config().model_id.substr(0, 12)));
  EXPECT_TRUE(info(out)["prior"].is_null());
  auto given = with_other;
  given.insert(given.end(), {"--prior", prior()});
  fails(given, ExitCode::kModel, "is for codes of model");
  auto joint = with_other;
  joint.push_back("--joint");
  fails(joint, ExitCode::kModel, "--joint needs a prior", other);
}

TEST_F(Prior, ContradictingOptionsAndBadPriorsAreRefused) {
  const std::string out = dir_ / "out.vqc";
  fails({"encode", song(), "-o", out, "--prior", prior(), "--no-prior"}, ExitCode::kUsage, "exclude");
  fails({"encode", song(), "-o", out, "--joint", "--no-prior"}, ExitCode::kUsage, "--joint");
  const auto refused = [&](const std::string& path, const std::string& says) {
    fails({"encode", song(), "-o", out, "--prior", path}, ExitCode::kModel, says);
    fails({"decode", golden("prior.vqc"), "-o", dir_ / "out.wav", "--prior", path}, ExitCode::kModel, "");
  };
  refused(dir_ / "nowhere.safetensors", "nowhere.safetensors");
  refused(shared("model.safetensors"), "prior");
  const std::string bytes = read_bytes(prior());
  write_bytes(dir_ / "cut.safetensors", bytes.substr(0, bytes.size() - 100));
  refused(dir_ / "cut.safetensors", "cut.safetensors");
  std::string nan = bytes;
  nan[nan.size() - 1] = nan[nan.size() - 2] = '\xFF';
  write_bytes(dir_ / "nan.safetensors", nan);
  refused(dir_ / "nan.safetensors", "nan.safetensors");
  std::string altered = bytes;
  altered[bytes.size() / 2] = static_cast<char>(altered[bytes.size() / 2] ^ 1);
  write_bytes(dir_ / "altered.safetensors", altered);
  fails({"decode", golden("prior.vqc"), "-o", dir_ / "out.wav", "--prior", dir_ / "altered.safetensors"},
        ExitCode::kModel, "is prior ");
}

TEST_F(Prior, OtherPriorsAndNumericsAreRefusedNamingBoth) {
  const std::string other = random_prior(12), other_bytes = read_bytes(other);
  const std::string other_id = runtime::to_hex(runtime::sha256(std::as_bytes(std::span(other_bytes))));
  std::vector<std::string> arguments = {"decode", golden("prior.vqc"), "-o", dir_ / "out.wav"};
  const RunOptions none{.environment = {{"VQCODEC_PRIOR", ""}}};
  fails(arguments, ExitCode::kModel, "was coded with prior " + prior_id().substr(0, 12), none);
  arguments.insert(arguments.end(), {"--prior", other});
  fails(arguments, ExitCode::kModel, "was coded with prior " + prior_id().substr(0, 12));
  fails(arguments, ExitCode::kModel, "is prior " + other_id.substr(0, 12));

  std::string bytes = read_bytes(golden("prior.vqc"));
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const auto header_bytes = codec::load_le<uint32_t>(std::span(data, bytes.size()), 12);
  bytes[40] = 9;
  std::vector<uint8_t> crc;
  codec::append_le(crc, codec::crc32c(std::span(data, header_bytes - 4)));
  std::copy(crc.begin(), crc.end(), bytes.begin() + header_bytes - 4);
  write_bytes(dir_ / "numerics.vqc", bytes);
  for (const char* says : {"numerics 0x9", "numerics 0x1"}) {
    fails({"decode", dir_ / "numerics.vqc", "-o", dir_ / "out.wav", "--prior", prior()}, ExitCode::kModel, says);
    fails({"verify", dir_ / "numerics.vqc", "--prior", prior()}, ExitCode::kModel, says);
  }
}

TEST_F(Prior, InfoTellsCodersAndSavings) {
  const json whole = info(golden("prior_joint.vqc"));
  EXPECT_EQ(whole["prior"]["id"], prior_id());
  EXPECT_EQ(whole["prior"]["numerics_id"], 1);
  EXPECT_EQ(whole["sources"][0]["streams"]["prior"], 3);
  EXPECT_EQ(whole["sources"][0]["streams"]["adaptive"], 1);
  EXPECT_EQ(whole["sources"][2]["streams"]["silent"], 1);
  EXPECT_EQ(whole["sources"][3]["streams"]["raw"], 1);
  EXPECT_TRUE(whole["sources"][0]["codebooks"].empty());  // needs the prior
  const json codebooks = info(golden("prior_joint.vqc"), {"--codebooks", "--prior", prior()});
  for (const json& source : codebooks["sources"]) {
    double bytes = 0;
    for (const json& codebook : source["codebooks"]) bytes += codebook["bytes"].get<double>();
    EXPECT_NEAR(bytes, source["bytes"].get<double>() - 4 * 11, 6);
  }
  const std::string text = ok({"info", golden("prior_joint.vqc")}).out;
  for (const std::string& part : {prior_id(), std::string("drums, bass, other, vocals"), std::string("saved")}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  fails({"info", golden("prior.vqc"), "--codebooks"}, ExitCode::kModel, "was coded with prior",
        {.environment = {{"VQCODEC_PRIOR", ""}}});
}

TEST_F(Prior, VerifyFindsDamageWithAndWithoutIt) {
  EXPECT_THAT(ok({"verify", golden("prior.vqc"), "--prior", prior()}).out, HasSubstr("whole (4 segments of 4 sources)"));
  const RunOptions none{.environment = {{"VQCODEC_PRIOR", ""}}};
  const Outcome lacking = run({"verify", golden("prior.vqc")}, none);
  EXPECT_EQ(lacking.exit_code, 4);
  EXPECT_EQ(std::count(lacking.err.begin(), lacking.err.end(), '\n'), 1) << lacking.err;
  // A byte of a stream of the joint file: the sources after it are lost too, and no other.
  auto file = codec::FileSource::open(golden("prior_joint.vqc"));
  const auto reader = codec::VqcReader::open(**file);
  const uint32_t bass = 1;
  const auto segment = reader->read_segment(0, {&bass, 1});
  std::string bytes = read_bytes(golden("prior_joint.vqc"));
  char& byte = bytes[segment->byte_offsets[bass] + 15];
  byte = static_cast<char>(byte ^ 1);
  write_bytes(dir_ / "damaged.vqc", bytes);
  const Outcome damaged = run({"verify", dir_ / "damaged.vqc", "--prior", prior()});
  EXPECT_EQ(damaged.exit_code, 3);
  EXPECT_THAT(damaged.err, HasSubstr("segment 0 of bass: the stream is damaged"));
  EXPECT_THAT(damaged.err, HasSubstr("segment 0 of vocals: it was coded given bass"));
  EXPECT_THAT(damaged.err, HasSubstr("segment 0 of other: it was coded given bass"));
  EXPECT_EQ(std::count(damaged.err.begin(), damaged.err.end(), '\n'), 3) << damaged.err;
  EXPECT_THAT(run({"verify", dir_ / "damaged.vqc"}, none).err, HasSubstr("segment 0 of bass: the stream is damaged"));
  fails({"decode", dir_ / "damaged.vqc", "-o", dir_ / "out.wav", "--prior", prior(), "--quiet"}, ExitCode::kBadFile,
        "--keep-going");
  const Outcome kept = ok({"decode", dir_ / "damaged.vqc", "-o", dir_ / "out.wav", "--prior", prior(), "--keep-going"});
  EXPECT_THAT(kept.err, HasSubstr("it is silent from"));
  // The section that names the prior: what others coded can be had.
  bytes = read_bytes(golden("prior.vqc"));
  char& id = bytes[bytes.find("PRIO") + 20];
  id = static_cast<char>(id ^ 1);
  write_bytes(dir_ / "nameless.vqc", bytes);
  fails({"decode", dir_ / "nameless.vqc", "-o", dir_ / "x.wav", "--prior", prior()}, ExitCode::kBadFile, "PRIO");
  ok({"decode", dir_ / "nameless.vqc", "-o", dir_ / "x.wav", "--prior", prior(), "--keep-going", "--quiet"});
  EXPECT_EQ(run({"verify", dir_ / "nameless.vqc", "--prior", prior()}).exit_code, 3);
}

TEST_F(Prior, SelftestPassesOnEveryPath) {
  for (const std::string cpu : {"", "portable"}) {
    const Outcome outcome = ok({"selftest", "--prior", prior()}, {.environment = {{"VQCODEC_CPU", cpu}}});
    EXPECT_THAT(outcome.out, HasSubstr("path " + cpu));
    EXPECT_THAT(outcome.out, HasSubstr("ok    coding with "));
    EXPECT_THAT(outcome.out, Not(HasSubstr("WRONG")));
  }
  fails({"selftest", "--prior", song()}, ExitCode::kModel, "song.wav");
}

}  // namespace
}  // namespace vqcodec::apps
