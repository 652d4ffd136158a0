// Seccomp filters that programs of the tree install themselves, and the system calls of the library for which
// they kill. The library no longer makes these calls.
//
// Only filters that are installed with libc's prctl() or syscall() are seen. A program that is executed later
// learns of them from a mark: a filter that answers an mmap of no bytes.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"
#include "shim/preload/state/used_calls.h"

namespace libmseal::shim {

// Whether a filter kills the process when it makes a call for that purpose.
[[nodiscard]] bool program_filters_kill(Purpose purpose);

[[nodiscard]] inline bool program_filters_bar_messages() {
  return program_filters_kill(Purpose::message) && program_filters_kill(Purpose::wrapped_message);
}
// Whether every start of the library would be killed.
[[nodiscard]] inline bool program_filters_bar_start() {
  return program_filters_kill(Purpose::locking) || program_filters_kill(Purpose::reading) ||
         program_filters_kill(Purpose::joining);
}
// Whether sealing without the supervisor would be killed.
[[nodiscard]] inline bool program_filters_bar_self_inspection() {
  return program_filters_kill(Purpose::reading) || program_filters_kill(Purpose::searching);
}
// Whether sealing under the present backend would be killed.
[[nodiscard]] bool program_filters_bar_sealing(const State& state);

// Finds the mark of the programs that have executed this one. To be called before any other system call.
void look_for_program_filters();

// Makes the system call prctl or seccomp of the program, which may install a filter.
long call_that_may_filter(long number, const policy::Arguments& arguments);

}  // namespace libmseal::shim
