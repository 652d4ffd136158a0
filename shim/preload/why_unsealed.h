// Why mseal did not seal, in words.
#pragma once

#include <cstdint>

namespace libmseal::shim {

enum class Why : std::uint8_t {
  filters_full,   // the kernel takes no more of them
  own_filters,    // a thread of the program has some of its own
  filter_failed,  // with an error
  shared,
  not_ours,       // another process has started the backend
  pid_namespace,  // not that of the start
  unknown,        // the supervisor can't look
  thread,         // one stays inside a call
  locked,         // by one that was killed
  overtaken,      // other processes of the image seal all the time
  table_full,
  ledger_full,
  many_pieces,
  unreadable,  // /proc/thread-self, with an error
  io_uring,
  not_sealable,
  late_library,
};

// Says it, once for each cause, as a program may try in a loop. Returns the -errno that the program gets.
// `error`: for those that have one.
long explain(Why why, long error = 0);

// Of install_deny_filter().
long explain_filter_failure(long error);

}  // namespace libmseal::shim
