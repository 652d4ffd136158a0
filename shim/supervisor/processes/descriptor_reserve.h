// The last descriptors are kept for what must not fail: looking at a caller, and handing over a table.
#pragma once

#include <sys/resource.h>

namespace libmseal::supervisor {

// Descriptors that stay free when tasks and memories are held, and when tables are made.
constexpr rlim_t kKeptByHolding = 32;
constexpr rlim_t kKeptByTables = 12;

// Whether fewer descriptors than `kept` are left above this one, which is the lowest that was free.
inline bool is_one_of_last(long descriptor, rlim_t kept) {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) != 0 || static_cast<rlim_t>(descriptor) + kept > limit.rlim_cur;
}

}  // namespace libmseal::supervisor
