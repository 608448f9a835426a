// Ctrl-C leaves no half-written file: temporary files are kept in a fixed table, and the handler of SIGINT, SIGTERM
// and SIGHUP removes them and then ends the process by the same signal, so that the shell sees what it expects.
#pragma once

#include <string>

namespace vqcodec {

// For main(): installs the handler. A signal that the parent had set to be ignored (nohup) stays ignored.
void install_interrupt_handler();

// Enters `path` in the table. Returns its slot, or -1 when the table is full or the path is too long: the file is
// then not removed by an interrupt, and nothing else changes. Safe to call from any thread.
int register_temporary_file(const std::string& path);

// Takes the slot out of the table; -1 is allowed.
void unregister_temporary_file(int slot);

}  // namespace vqcodec
