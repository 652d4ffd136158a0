// Where brk(2) would reach sealed memory.
#pragma once

#include <span>

#include "policy/rules/abi.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::shim {

// The current break, rounded to whole pages.
std::uint64_t present_break(const policy::Machine& machine);

// Sets `refused` to the arguments of brk that would unmap one of the pieces; empty: none would. 0 or -errno.
// The kernel unmaps whatever lies between the new and the current break, not only what /proc calls [heap].
// `heap_end`: the current break or higher.
long find_refused_breaks(const policy::Machine& machine, std::span<const policy::Seal> pieces,
                         std::uint64_t heap_end, policy::Range& refused);

}  // namespace libmseal::shim
