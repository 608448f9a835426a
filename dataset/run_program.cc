#include "dataset/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/error.h"

extern char** environ;

namespace vqcodec::dataset {

namespace {

constexpr size_t kKeptErrorBytes = 400;  // of standard error, for the message

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) {
      throw Error(ExitCode::kIo, std::string("a pipe cannot be made: ") + std::strerror(errno));
    }
  }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_reader() { close_end(ends_[0]); }
  void close_writer() { close_end(ends_[1]); }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  int ends_[2] = {-1, -1};
};

// A started program in a process group of its own; killed with its children if it is not waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // True when it has ended; `status` is then waitpid's.
  bool has_ended(int& status) {
    const pid_t result = ::waitpid(pid_, &status, WNOHANG);
    if (result == 0 || (result < 0 && errno == EINTR)) return false;
    ::kill(-pid_, SIGKILL);  // whatever it left running
    pid_ = -1;
    return true;
  }

 private:
  pid_t pid_;
};

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Reads what is there. False at the end.
bool drain(int fd, std::string& to) {
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t count = ::read(fd, block.data(), block.size());
    if (count > 0) {
      to.append(block.data(), static_cast<size_t>(count));
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    return count < 0 && errno == EAGAIN;
  }
}

std::string last_words(const std::string& errors) {
  std::string text;
  for (const char c : errors) text += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  while (!text.empty() && text.back() == ' ') text.pop_back();
  if (text.empty()) return "";
  return ": " + (text.size() > kKeptErrorBytes ? "..." + text.substr(text.size() - kKeptErrorBytes) : text);
}

// As write(2), but a reader that has gone is an error (EPIPE) and no signal, whatever the program made of SIGPIPE.
ssize_t write_without_signal(int file, std::string_view bytes) {
  sigset_t broken_pipe, before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  const ssize_t count = ::write(file, bytes.data(), bytes.size());
  const int error = errno;
  const timespec at_once{};
  if (count < 0 && error == EPIPE) sigtimedwait(&broken_pipe, nullptr, &at_once);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return count;
}

}  // namespace

std::string find_program(const std::string& name) {
  const auto is_program = [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; };
  if (name.find('/') != std::string::npos) return is_program(name) ? name : "";
  const char* variable = std::getenv("PATH");
  const std::string folders = variable != nullptr ? variable : "/usr/bin:/bin";
  for (size_t at = 0; at <= folders.size() && !name.empty();) {
    const size_t colon = std::min(folders.find(':', at), folders.size());
    const std::string path = folders.substr(at, colon - at) + "/" + name;
    if (colon > at && is_program(path)) return path;
    at = colon + 1;
  }
  return "";
}

std::string run_program(const std::vector<std::string>& arguments, const std::string& input, const RunLimits& limits) {
  const std::string path = arguments.empty() ? "" : find_program(arguments[0]);
  if (path.empty()) {
    throw Error(ExitCode::kIo, (arguments.empty() ? "\"\"" : arguments[0]) + ": there is no such program");
  }
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  Pipe in, out, errors;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in.reader(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.writer(), STDERR_FILENO);
  // SIGPIPE as programs expect it, whatever this one made of it; a group, so that helpers can be killed with it.
  sigset_t default_signals, no_signals;
  sigemptyset(&default_signals);
  sigaddset(&default_signals, SIGPIPE);
  sigemptyset(&no_signals);
  posix_spawnattr_setsigdefault(&attributes, &default_signals);
  posix_spawnattr_setsigmask(&attributes, &no_signals);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int failure = posix_spawn(&pid, path.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) throw Error(ExitCode::kIo, path + ": cannot be started: " + std::strerror(failure));
  Child child(pid);
  in.close_reader();
  out.close_writer();
  errors.close_writer();
  set_nonblocking(in.writer());
  set_nonblocking(out.reader());
  set_nonblocking(errors.reader());

  using Clock = std::chrono::steady_clock;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limits.seconds));
  const auto milliseconds_left = [&] {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left > 0) return static_cast<int>(std::min<long long>(left, 1000));
    char text[64];
    std::snprintf(text, sizeof text, "%g", limits.seconds);
    throw Error(ExitCode::kIo, path + ": did not end within " + text + " seconds and was stopped");
  };

  std::string output, error_text;
  size_t num_written = 0;
  bool output_open = true, errors_open = true;
  if (input.empty()) in.close_writer();
  while (output_open || errors_open) {
    std::array<pollfd, 3> fds = {{{output_open ? out.reader() : -1, POLLIN, 0},
                                  {errors_open ? errors.reader() : -1, POLLIN, 0},
                                  {in.writer(), POLLOUT, 0}}};
    if (::poll(fds.data(), fds.size(), milliseconds_left()) < 0 && errno != EINTR) {
      throw Error(ExitCode::kIo, path + ": poll: " + std::strerror(errno));
    }
    if (fds[2].revents != 0) {
      const ssize_t count = write_without_signal(in.writer(), std::string_view(input).substr(num_written));
      if (count > 0) num_written += static_cast<size_t>(count);
      const bool has_failed = count < 0 && errno != EAGAIN && errno != EINTR;  // it may well not want to read
      if (has_failed || num_written == input.size()) in.close_writer();
    }
    if (fds[0].revents != 0) output_open = drain(out.reader(), output);
    if (fds[1].revents != 0) errors_open = drain(errors.reader(), error_text);
    if (error_text.size() > 64 * kKeptErrorBytes) error_text.erase(0, error_text.size() - 2 * kKeptErrorBytes);
    if (output.size() > limits.output_bytes) {
      throw Error(ExitCode::kIo, path + ": wrote more than " + std::to_string(limits.output_bytes) + " bytes");
    }
  }
  int status = 0;
  while (!child.has_ended(status)) {
    milliseconds_left();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (WIFSIGNALED(status)) {
    throw Error(ExitCode::kIo, path + ": ended by signal " + std::to_string(WTERMSIG(status)) + last_words(error_text));
  }
  if (WEXITSTATUS(status) != 0) {
    throw Error(ExitCode::kIo,
                path + ": ended with status " + std::to_string(WEXITSTATUS(status)) + last_words(error_text));
  }
  return output;
}

}  // namespace vqcodec::dataset
