// Seccomp filters that the program installs itself: whether one kills for a system call of the library. Such
// a call is not made then.
//
// Seen are filters that are installed with libc's prctl() or syscall().
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// What a filter of the program kills for.
struct OwnFilters {
  bool message = false;          // a message to the supervisor by mseal(2), or that call itself
  bool wrapped_message = false;  // one by mmap
  bool locking = false;          // what every sealing does
  bool filtering = false;        // the installation of filters
  bool reading = false;          // reading the mappings and looking for sharers, without the supervisor
  bool starting = false;         // the start of a backend
  bool reporting = false;        // reports of refused calls
  bool writing = false;          // messages on standard error
  bool exec_layout = false;      // exec_layout.h
};
extern OwnFilters g_own_filters;

[[nodiscard]] inline bool own_filters_bar_messages() {
  return g_own_filters.message && g_own_filters.wrapped_message;
}

// Whether sealing under the present backend would be killed.
[[nodiscard]] bool own_filters_bar_sealing(const State& state);

// The system call prctl or seccomp of the program, which may install a filter.
long call_that_may_filter(long number, const policy::Arguments& arguments);

}  // namespace libmseal::shim
