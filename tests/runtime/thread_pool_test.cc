#include "runtime/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/base/expect_error.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

class ThreadPoolOf : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolOf, CoversEverythingOnceInPartsOfTheGrain) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (int64_t count : {0, 1, 2, 7, 100, 1001}) {
    for (int64_t grain : {1, 3, 64, 5000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
      std::atomic<int64_t> num_parts{0};
      pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        EXPECT_LT(begin, end);
        EXPECT_LE(end - begin, grain);
        ++num_parts;
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      for (const auto& visit : visits) ASSERT_EQ(visit, 1) << count << " by " << grain;
      EXPECT_EQ(num_parts, (count + grain - 1) / grain);
    }
  }
}

TEST_P(ThreadPoolOf, ManyShortLoops) {
  ThreadPool pool(GetParam());
  std::atomic<int64_t> sum{0};
  for (int loop = 0; loop < 3000; ++loop) pool.parallel_for(4, 1, [&](int64_t begin, int64_t) { sum += begin; });
  EXPECT_EQ(sum, 3000 * 6);
}

TEST_P(ThreadPoolOf, AnExceptionComesOutAndThePoolGoesOn) {
  ThreadPool pool(GetParam());
  for (int64_t guilty : {0, 57, 99}) {
    try {
      pool.parallel_for(100, 1, [&](int64_t begin, int64_t) {
        if (begin == guilty) throw std::runtime_error("part " + std::to_string(begin));
      });
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "part " + std::to_string(guilty));
    }
    std::atomic<int> num_parts{0};
    pool.parallel_for(10, 1, [&](int64_t, int64_t) { ++num_parts; });
    EXPECT_EQ(num_parts, 10);
  }
}

TEST_P(ThreadPoolOf, WhenAllPartsThrowOneComesOut) {
  ThreadPool pool(GetParam());
  std::atomic<int> num_parts{0};
  EXPECT_THROW(pool.parallel_for(1000, 1,
                                 [&](int64_t, int64_t) {
                                   ++num_parts;
                                   throw std::runtime_error("each");
                                 }),
               std::runtime_error);
  EXPECT_LE(num_parts, GetParam());  // parts not yet begun are left out
}

TEST_P(ThreadPoolOf, NestedLoopRunsOnItsCallersThread) {
  ThreadPool pool(GetParam());
  std::atomic<int> total{0};
  pool.parallel_for(8, 1, [&](int64_t, int64_t) {
    const auto outer = std::this_thread::get_id();
    pool.parallel_for(50, 1, [&](int64_t, int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      ++total;
    });
  });
  EXPECT_EQ(total, 8 * 50);
}

TEST_P(ThreadPoolOf, ExceptionInANestedLoopComesOutOfBoth) {
  ThreadPool pool(GetParam());
  EXPECT_THROW(pool.parallel_for(8, 1,
                                 [&](int64_t, int64_t) {
                                   pool.parallel_for(8, 1, [](int64_t begin, int64_t) {
                                     if (begin == 5) throw std::runtime_error("inner");
                                   });
                                 }),
               std::runtime_error);
}

TEST_P(ThreadPoolOf, TwoCallersAtOnce) {
  ThreadPool pool(GetParam());
  std::atomic<int64_t> sums[2] = {};
  const auto work = [&](int which) {
    for (int loop = 0; loop < 500; ++loop)
      pool.parallel_for(20, 1, [&](int64_t begin, int64_t) { sums[which] += begin; });
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  EXPECT_EQ(sums[0], 500 * 190);
  EXPECT_EQ(sums[1], 500 * 190);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, ::testing::Values(1, 2, 3, 4, 8), ::testing::PrintToStringParamName());

TEST(ThreadPool, UsesItsThreads) {
  ThreadPool pool(3);
  std::mutex mutex;
  std::condition_variable all_here;
  std::set<std::thread::id> threads;
  // No part ends before three threads are inside one; a pool with fewer would wait until the test's time is up.
  pool.parallel_for(3, 1, [&](int64_t, int64_t) {
    std::unique_lock lock(mutex);
    threads.insert(std::this_thread::get_id());
    all_here.notify_all();
    all_here.wait_for(lock, std::chrono::seconds(60), [&] { return threads.size() == 3; });
  });
  EXPECT_EQ(threads.size(), 3U);
}

TEST(ThreadPool, ZeroMeansOneThreadPerCore) {
  ThreadPool pool(0);
  EXPECT_GE(pool.size(), 1);
  EXPECT_LE(pool.size(), 1024);
}

TEST(ThreadPool, ImpossibleNumbersAreRefused) {
  EXPECT_ERROR(ThreadPool(-1), ExitCode::kUsage, HasSubstr("number of threads is -1, expected 0 (all cores) to 1024"));
  EXPECT_ERROR(ThreadPool(1025), ExitCode::kUsage, HasSubstr("number of threads is 1025"));
}

}  // namespace
}  // namespace vqcodec::runtime
