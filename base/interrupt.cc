#include "base/interrupt.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace vqcodec {
namespace {

constexpr int kNumSlots = 64;
constexpr size_t kMaxPathBytes = 4096;

enum State : int { kFree, kBeingWritten, kSet };

struct Slot {
  std::atomic<int> state{kFree};
  pid_t owner = 0;  // a child made by fork() must not remove its parent's files
  char path[kMaxPathBytes];
};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may use lock-free atomics only");

Slot slots[kNumSlots];
std::atomic_flag making_file;
pid_t installed_by = 0;

// Only async-signal-safe calls here.
extern "C" void remove_files_and_end(int signal_number) {
  const pid_t self = getpid();
  // Never cleared. A child made by fork() has no thread that would give it back.
  if (self == installed_by) {
    while (making_file.test_and_set(std::memory_order_acquire)) {
    }
  }
  for (Slot& slot : slots) {
    if (slot.state.load(std::memory_order_acquire) == kSet && slot.owner == self) unlink(slot.path);
  }
  // SA_RESETHAND has restored the default action; the signal is blocked until the handler returns, then ends us.
  raise(signal_number);
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = remove_files_and_end;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigfillset(&action.sa_mask);  // one handler at a time in a thread
  installed_by = getpid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
}

MakingFile::MakingFile() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
  while (making_file.test_and_set(std::memory_order_acquire)) sched_yield();
}

MakingFile::~MakingFile() {
  making_file.clear(std::memory_order_release);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int register_temporary_file(const std::string& path) {
  if (path.size() >= kMaxPathBytes) return -1;
  for (int i = 0; i < kNumSlots; ++i) {
    int expected = kFree;
    if (!slots[i].state.compare_exchange_strong(expected, kBeingWritten)) continue;
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].owner = getpid();
    slots[i].state.store(kSet, std::memory_order_release);
    return i;
  }
  return -1;
}

void unregister_temporary_file(int slot) {
  if (slot >= 0 && slot < kNumSlots) slots[slot].state.store(kFree, std::memory_order_release);
}

}  // namespace vqcodec
