#include "runtime/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace vqcodec::runtime {
namespace {

using Body = std::function<void(int64_t, int64_t)>;

constexpr int kMaxThreads = 1024;

thread_local bool inside_part = false;

struct Loop {
  const Body& body;
  const int64_t count;
  const int64_t grain;
  std::atomic<int64_t> next{0};
  std::atomic<bool> has_failed{false};
  std::exception_ptr failure{};  // written by the thread that sets has_failed first

  void run_parts() {
    inside_part = true;
    while (!has_failed.load(std::memory_order_relaxed)) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) break;
      try {
        body(begin, std::min(begin + grain, count));
      } catch (...) {
        if (!has_failed.exchange(true)) failure = std::current_exception();
      }
    }
    inside_part = false;
  }
};

}  // namespace

struct ThreadPool::State {
  std::vector<std::thread> threads;
  std::mutex one_loop;  // held for the length of a loop
  std::mutex mutex;     // guards what follows
  std::condition_variable wake;
  std::condition_variable idle;
  Loop* loop = nullptr;
  uint64_t loop_number = 0;
  int num_running = 0;  // workers inside *loop
  bool is_stopping = false;

  void work() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return is_stopping || (loop != nullptr && loop_number != seen); });
      if (is_stopping) return;
      seen = loop_number;
      Loop* const mine = loop;
      ++num_running;
      lock.unlock();
      mine->run_parts();
      lock.lock();
      if (--num_running == 0) idle.notify_all();
    }
  }

  void stop() {
    {
      std::lock_guard lock(mutex);
      is_stopping = true;
    }
    wake.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  if (num_threads < 0 || num_threads > kMaxThreads)
    throw Error(ExitCode::kUsage, "number of threads is " + std::to_string(num_threads) +
                                      ", expected 0 (all cores) to " + std::to_string(kMaxThreads));
  if (num_threads == 0) num_threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
  try {
    state_->threads.reserve(static_cast<std::size_t>(num_threads - 1));
    for (int i = 1; i < num_threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->work(); });
  } catch (const std::system_error& error) {
    state_->stop();
    throw Error(ExitCode::kInternal,
                "cannot start " + std::to_string(num_threads) + " threads: " + error.what() + "; ask for fewer");
  }
}

ThreadPool::~ThreadPool() { state_->stop(); }

int ThreadPool::size() const { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::clamp<int64_t>(grain, 1, count);
  std::unique_lock<std::mutex> alone;
  if (!inside_part && grain < count && !state_->threads.empty())
    alone = std::unique_lock(state_->one_loop, std::try_to_lock);
  if (!alone.owns_lock()) {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
    return;
  }
  Loop loop{body, count, grain};
  {
    std::lock_guard lock(state_->mutex);
    state_->loop = &loop;
    ++state_->loop_number;
  }
  state_->wake.notify_all();
  loop.run_parts();
  {
    std::unique_lock lock(state_->mutex);
    state_->loop = nullptr;
    state_->idle.wait(lock, [&] { return state_->num_running == 0; });
  }
  if (loop.failure) std::rethrow_exception(loop.failure);
}

}  // namespace vqcodec::runtime
