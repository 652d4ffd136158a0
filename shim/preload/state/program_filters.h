// Seccomp filters that programs of the tree install themselves, and the system calls of the library for which
// they kill. The library no longer makes these calls.
//
// Only filters that are installed with libc's prctl() or syscall() are seen. A program that is executed later
// learns of them from a mark: a filter that answers an mmap of no bytes.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// What the system calls are for.
enum class Task : std::uint16_t {
  message = 1 << 0,          // a message to the supervisor by mseal(2), or that call itself
  wrapped_message = 1 << 1,  // one by mmap
  locking = 1 << 2,          // what every sealing does
  filtering = 1 << 3,        // installing filters
  reading = 1 << 4,          // reading /proc
  searching = 1 << 5,        // looking for threads and sharers without the supervisor
  joining = 1 << 6,          // a start in a tree, and part of every start
  launching = 1 << 7,        // starting a supervisor
  hardening = 1 << 8,        // harden=
  writing = 1 << 9,          // messages on standard error
  optional = 1 << 10,  // what can be left out: reports of refused calls, exec_layout.h, trials of fences
};

// Whether a filter kills the process when it makes a call of that task.
[[nodiscard]] bool program_filters_kill(Task task);

[[nodiscard]] inline bool program_filters_bar_messages() {
  return program_filters_kill(Task::message) && program_filters_kill(Task::wrapped_message);
}
// Whether every start of the library would be killed.
[[nodiscard]] inline bool program_filters_bar_start() {
  return program_filters_kill(Task::locking) || program_filters_kill(Task::reading) ||
         program_filters_kill(Task::joining);
}
// Whether sealing without the supervisor would be killed.
[[nodiscard]] inline bool program_filters_bar_self_inspection() {
  return program_filters_kill(Task::reading) || program_filters_kill(Task::searching);
}
// Whether sealing under the present backend would be killed.
[[nodiscard]] bool program_filters_bar_sealing(const State& state);

// Finds the mark of the programs that have executed this one. To be called before any other system call.
void look_for_program_filters();

// Makes the system call prctl or seccomp of the program, which may install a filter.
long call_that_may_filter(long number, const policy::Arguments& arguments);

}  // namespace libmseal::shim
