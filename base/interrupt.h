// Ctrl-C leaves no half-written file: temporary files are kept in a fixed table, and the handler of SIGINT, SIGTERM
// and SIGHUP removes them and then ends the process by the same signal, so that the shell sees what it expects.
#pragma once

#include <signal.h>

#include <string>

namespace vqcodec {

// For main(): installs the handler. A signal that the parent had set to be ignored (nohup) stays ignored.
void install_interrupt_handler();

// Held while a temporary file is made and entered in the table, with signals blocked in this thread. The handler waits
// for it; once it has begun, other threads wait here for the end of the process. So no file is made after it has looked.
class MakingFile {
 public:
  MakingFile();
  ~MakingFile();
  MakingFile(const MakingFile&) = delete;
  MakingFile& operator=(const MakingFile&) = delete;

 private:
  sigset_t before_;
};

// Enters `path` in the table. Returns its slot, or -1 when the table is full or the path is too long: the file is
// then not removed by an interrupt, and nothing else changes. Safe to call from any thread.
int register_temporary_file(const std::string& path);

// Takes the slot out of the table; -1 is allowed.
void unregister_temporary_file(int slot);

}  // namespace vqcodec
