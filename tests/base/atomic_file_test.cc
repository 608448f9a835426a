#include "base/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(AtomicFile, IsUnderItsNameOnlyAfterCommit) {
  TempDir dir;
  {
    AtomicFile file(dir / "out.bin");
    file.write("abc", 3);
    EXPECT_THAT(dir.list(), ElementsAre(".out.bin." + std::to_string(getpid()) + ".tmp"));
    EXPECT_EQ(file.temporary_path(), dir / dir.list()[0]);
    file.write_at(1, "X", 1);
    file.write("d", 1);
    file.commit();
  }
  EXPECT_THAT(dir.list(), ElementsAre("out.bin"));
  EXPECT_EQ(read_bytes(dir / "out.bin"), "aXcd");
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TempDir dir;
  { AtomicFile(dir / "out.bin").write("abc", 3); }
  EXPECT_THAT(dir.list(), IsEmpty());
}

TEST(AtomicFile, RefusesToOverwriteAndKeepsTheOldFile) {
  TempDir dir;
  write_bytes(dir / "out.bin", "old");
  EXPECT_ERROR(AtomicFile(dir / "out.bin"), ExitCode::kUsage, AllOf(HasSubstr("out.bin"), HasSubstr("--force")));
  EXPECT_THAT(dir.list(), ElementsAre("out.bin"));
  EXPECT_EQ(read_bytes(dir / "out.bin"), "old");
}

TEST(AtomicFile, RefusesATargetThatAppearedMeanwhile) {
  TempDir dir;
  AtomicFile file(dir / "out.bin");
  file.write("new", 3);
  write_bytes(dir / "out.bin", "old");
  EXPECT_ERROR(file.commit(), ExitCode::kUsage, HasSubstr("--force"));
  EXPECT_THAT(dir.list(), ElementsAre("out.bin"));
  EXPECT_EQ(read_bytes(dir / "out.bin"), "old");
}

TEST(AtomicFile, ForceOverwritesAtCommitAndKeepsTheMode) {
  TempDir dir;
  write_bytes(dir / "out.bin", "old");
  ASSERT_EQ(chmod((dir / "out.bin").c_str(), 0600), 0);
  AtomicFile file(dir / "out.bin", true);
  file.write("new", 3);
  EXPECT_EQ(read_bytes(dir / "out.bin"), "old");
  file.commit();
  EXPECT_EQ(read_bytes(dir / "out.bin"), "new");
  struct stat info = {};
  ASSERT_EQ(stat((dir / "out.bin").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST(AtomicFile, KeepsASymbolicLinkAndReplacesWhatItPointsTo) {
  TempDir dir;
  write_bytes(dir / "real.bin", "old");
  std::filesystem::create_symlink("real.bin", dir / "link.bin");
  AtomicFile file(dir / "link.bin", true);
  file.write("new", 3);
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link.bin"));
  EXPECT_EQ(read_bytes(dir / "real.bin"), "new");
}

TEST(AtomicFile, TwoOfTheSameNameDoNotMeet) {
  TempDir dir;
  AtomicFile first(dir / "out.bin");
  AtomicFile second(dir / "out.bin");
  EXPECT_NE(first.temporary_path(), second.temporary_path());
}

TEST(AtomicFile, TakesTheLongestName) {
  TempDir dir;
  const std::string name(255, 'n');
  AtomicFile file(dir / name);
  file.commit();
  EXPECT_THAT(dir.list(), ElementsAre(name));
}

TEST(AtomicFile, RefusesADirectoryAndAMissingOne) {
  TempDir dir;
  EXPECT_ERROR(AtomicFile(dir.path()), ExitCode::kIo, HasSubstr("directory"));
  EXPECT_ERROR(AtomicFile(dir.path() + "/"), ExitCode::kIo, HasSubstr("directory"));
  EXPECT_ERROR(AtomicFile(dir / "none/"), ExitCode::kIo, HasSubstr("directory"));
  EXPECT_ERROR(AtomicFile(dir / "none/out.bin"), ExitCode::kIo, HasSubstr("No such file"));
  EXPECT_ERROR(AtomicFile(""), ExitCode::kUsage, HasSubstr("empty"));
  EXPECT_THAT(dir.list(), IsEmpty());
}

TEST(AtomicFile, AFullDiskIsAnErrorAndLeavesNothing) {
  TempDir dir;
  struct rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = {1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  {
    AtomicFile file(dir / "out.bin");
    const std::string bytes(5000, 'x');
    EXPECT_ERROR(file.write(bytes.data(), bytes.size()), ExitCode::kIo,
                 AllOf(HasSubstr("out.bin"), HasSubstr("File too large")));
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_THAT(dir.list(), IsEmpty());
}

TEST(AtomicFile, WritesDirectlyToADevice) {
  AtomicFile null("/dev/null");
  EXPECT_EQ(null.temporary_path(), "/dev/null");
  null.write("abc", 3);
  null.commit();
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  AtomicFile full("/dev/full");
  EXPECT_ERROR(full.write("abc", 3), ExitCode::kIo, AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
}

TEST(AtomicFile, WritesDirectlyToAPipe) {
  TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  const int reader = open((dir / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  AtomicFile file(dir / "pipe");
  EXPECT_FALSE(file.is_seekable());
  file.write("abc", 3);
  file.commit();
  char bytes[8] = {};
  EXPECT_EQ(read(reader, bytes, sizeof(bytes)), 3);
  close(reader);
  EXPECT_STREQ(bytes, "abc");
  EXPECT_THAT(dir.list(), ElementsAre("pipe"));
}

}  // namespace
}  // namespace vqcodec
