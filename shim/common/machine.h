// The machine that this was built for, as described in policy/rules/abi.h.
#pragma once

#include <sys/auxv.h>

#include "policy/rules/abi.h"

namespace libmseal::shim {

inline policy::Machine this_machine() {
#if defined(__x86_64__)
  return policy::kX86Machine;
#else
  return policy::arm64_machine(getauxval(AT_PAGESZ));
#endif
}

}  // namespace libmseal::shim
