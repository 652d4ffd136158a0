// Messages about why mseal did not seal.
#pragma once

#include <cstdint>

namespace libmseal::shim {

enum class Why : std::uint8_t {
  filters_full,     // the kernel accepts no more filters
  program_filters,  // a thread of the program has filters of its own
  filter_failed,    // with an error
  shared,
  not_ours,        // another process has started the backend
  pid_namespace,   // not that of the start
  loaded_by_fork,  // an older process may share the memory, and can't be seen
  foreign_proc,    // /proc is that of another pid namespace
  gone,            // there is no supervisor any more
  unknown,         // the supervisor can't inspect the process
  thread,          // a thread stays in a call
  hidden_threads,
  locked,     // the lock was not released
  overtaken,  // other processes of the image seal constantly
  table_full,
  local_seals_full,
  many_pieces,
  unreadable,  // /proc/thread-self, with an error
  io_uring,
  not_sealable,
  late_library,
  program_filter_kills,  // of the program, for a call that sealing makes
};

// Prints the message, once for each cause, and returns the -errno for the program. `error`: for causes that
// have one.
long explain(Why why, long error = 0);

// For the result of install_deny_filter().
long explain_filter_failure(long error);

// For the result of BackendFunctions::is_alone.
long explain_sharing(long error);

}  // namespace libmseal::shim
