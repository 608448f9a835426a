// vqeval curves as a person would run it.
#include "tests/apps/vqeval_program.h"
#include "tests/eval/well_formed.h"

namespace vqcodec::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class EvalCurves : public Vqeval {
 protected:
  EvalCurves() : Vqeval("curves") {}
  void SetUp() override {
    std::filesystem::create_directories(dir_ / "first");
    write_log(R"({"kind":"training","step":10,"time":1.5,"loss":3,"rate":0.1}
{"kind":"validation","step":10,"time":1.6,"masks_bass":1,"bass":0.5,"average":0.5}
{"kind":"training","step":20,"time":1.7,"loss":2,"rate":0.1}
{"kind":"training","step":30,"time":1.7,"loss":1.5,"rate":0.1}
{"kind":"training","step":20,"time":1.8,"loss":2.25,"rate":0.1}
{"kind":"validation","step":20,"time":1.9,"masks_bass":2,"bass":1.5,"average":null}
)");
  }
  void write_log(const std::string& log) { std::ofstream(dir_ / "first/log.jsonl") << log; }
  std::string picture(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {dir_ / "first", "-o", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const std::string svg = ok(arguments).out;
    EXPECT_EQ(eval::malformation(svg), "");
    return svg;
  }
};

TEST_F(EvalCurves, DrawsLossesAndFiguresOfSongsSetAsideByGroup) {
  const std::string svg = picture();
  EXPECT_THAT(svg, AllOf(HasSubstr("training: loss"), HasSubstr("set aside<"), HasSubstr("set aside: masks"),
                         HasSubstr(">masks_bass<"), HasSubstr(">average<"), Not(HasSubstr("rate"))));
  const std::string chosen = picture({"--fields", "rate"});
  EXPECT_THAT(chosen, AllOf(HasSubstr("training: rate"), Not(HasSubstr("loss"))));
}

TEST_F(EvalCurves, StepsThatWereDoneAgainCountAsTheyWereDoneLast) {
  const Outcome outcome = run_command({dir_ / "first/log.jsonl", "--list"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("first  training  loss  step 20  2.25"));
  EXPECT_THAT(outcome.out, HasSubstr("first  validation  masks_bass  step 20  2.0"));
}

TEST_F(EvalCurves, LogsAreComparedInTheSamePanels) {
  std::filesystem::create_directories(dir_ / "second");
  std::ofstream(dir_ / "second/log.jsonl") << R"({"kind":"training","step":10,"loss":1})" << '\n';
  EXPECT_THAT(picture({dir_ / "second"}), AllOf(HasSubstr(">first<"), HasSubstr(">second<")));
}

TEST_F(EvalCurves, ALastLineThatIsCutIsLeftOut) {
  write_log("{\"kind\":\"training\",\"step\":10,\"loss\":3}\n{\"kind\":\"trai");
  EXPECT_EQ(run_command({dir_ / "first", "--list"}).exit_code, 0);
}

TEST_F(EvalCurves, RefusesWhatIsNoLog) {
  fails({dir_ / "none", "-o", "-"}, ExitCode::kIo, "none: cannot be read");
  fails({dir_ / "first", "-o", "-", "--fields", "speed"}, ExitCode::kUsage, "--fields speed");
  fails({dir_ / "first"}, ExitCode::kUsage, "(-o) or --list");
  fails({"-o", "-"}, ExitCode::kUsage, "");
  for (const char* text : {"", "nothing", "[]\n", "{\"kind\":1,\"step\":2}\n", "{\"kind\":\"training\"}\n"}) {
    write_log(text);
    fails({dir_ / "first", "-o", "-"}, ExitCode::kBadFile, "log.jsonl: ");
  }
  write_log("{\"kind\":\"training\",\"step\":10,\"rate\":3}\n");
  fails({dir_ / "first", "-o", "-"}, ExitCode::kBadFile, "neither losses nor");
  // An existing picture stays.
  SetUp();
  std::ofstream(dir_ / "there.svg") << "mine";
  fails({dir_ / "first", "-o", dir_ / "there.svg"}, ExitCode::kUsage, "there.svg");
  EXPECT_EQ(read_bytes(dir_ / "there.svg"), "mine");
}

}  // namespace
}  // namespace vqcodec::apps
