// A fixed set of threads for loops whose parts do not depend on each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace vqcodec::runtime {

class ThreadPool {
 public:
  // num_threads counts the calling thread: 1 starts no thread, 0 means one per core. Throws Error(kUsage) if
  // num_threads is below 0 or above 1024, Error(kInternal) if a thread cannot be started.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls body(begin, end) for parts of at most `grain` (>= 1) that cover [0, count) once, in any order and on any
  // thread, the caller's among them; returns when all are done. The first exception that a part throws is thrown here,
  // and parts not yet begun are left out. Called from inside a part, or while another thread's loop is running, it
  // does the whole loop on the calling thread.
  void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::runtime
