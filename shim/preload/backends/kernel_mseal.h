// Whether this kernel has mseal(2).
#pragma once

#include <cstdint>

#include "policy/rules/abi.h"

namespace libmseal::shim {

enum class KernelMseal : std::uint8_t {
  works,
  refused,  // by a container's profile
  missing,
};

// Asked by what the call does, and before a filter of our own answers it.
KernelMseal ask_kernel(const policy::Machine& machine);

}  // namespace libmseal::shim
