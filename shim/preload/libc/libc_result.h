// Results of system calls as libc's functions return them.
#pragma once

#include <cerrno>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// The result, or -1 with errno set.
template <class Result = long>
Result libc_result(long result) {
  if (!failed(result)) return static_cast<Result>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace libmseal::shim
