#include "base/interrupt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/atomic_file.h"
#include "tests/base/temp_dir.h"

namespace vqcodec {
namespace {

// Runs `body` in a child process and returns how that ended (see waitpid).
template <typename Body>
int run_in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

class InterruptTest : public testing::TestWithParam<int> {};

TEST_P(InterruptTest, RemovesTemporaryFilesAndEndsByTheSignal) {
  TempDir dir;
  write_bytes(dir / "old.bin", "old");
  const int status = run_in_child([&] {
    install_interrupt_handler();
    AtomicFile replaced(dir / "old.bin", true);
    AtomicFile made(dir / "new.bin");
    AtomicFile done(dir / "done.bin");
    done.commit();
    if (dir.list().size() != 4) _exit(9);
    raise(GetParam());
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), GetParam());
  EXPECT_THAT(dir.list(), testing::UnorderedElementsAre("old.bin", "done.bin"));
  EXPECT_EQ(read_bytes(dir / "old.bin"), "old");
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptTest, testing::Values(SIGINT, SIGTERM, SIGHUP));

TEST(Interrupt, NoThreadMakesAFileBehindTheHandler) {
  TempDir dir;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      install_interrupt_handler();
      std::vector<std::thread> threads;
      for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
          for (int i = 0;; ++i) AtomicFile file(dir / (std::to_string(t) + "-" + std::to_string(i)));
        });
      }
      for (auto& thread : threads) thread.join();
    }
    for (int i = 0; i < 1000 && dir.list().empty(); ++i) usleep(1000);
    usleep(static_cast<useconds_t>(100 * round));
    kill(child, SIGINT);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    ASSERT_THAT(dir.list(), testing::IsEmpty()) << round;
  }
}

TEST(Interrupt, LeavesFilesOfTheParentAlone) {
  TempDir dir;
  AtomicFile file(dir / "out.bin");
  const int status = run_in_child([] {
    install_interrupt_handler();
    raise(SIGTERM);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(dir.list().size(), 1U);
}

TEST(Interrupt, AnIgnoredSignalStaysIgnored) {
  const int status = run_in_child([] {
    signal(SIGHUP, SIG_IGN);
    install_interrupt_handler();
    raise(SIGHUP);
  });
  EXPECT_TRUE(WIFEXITED(status));
}

TEST(Interrupt, AFullTableAndALongPathAreTold) {
  const int status = run_in_child([] {
    if (register_temporary_file(std::string(5000, 'p')) != -1) _exit(1);
    int slot = 0;
    for (int i = 0; i < 64; ++i) {
      slot = register_temporary_file("/nowhere/file");
      if (slot < 0) _exit(2);
    }
    if (register_temporary_file("/nowhere/file") != -1) _exit(3);
    unregister_temporary_file(slot);
    unregister_temporary_file(-1);
    if (register_temporary_file("/nowhere/file") != slot) _exit(4);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace vqcodec
