// Where brk(2) would reach sealed memory.
#pragma once

#include <span>

#include "policy/abi.h"
#include "policy/range.h"
#include "policy/seal.h"

namespace libmseal::shim {

// What brk could unmap of sealed memory.
struct BreakReach {
  policy::Range refused{};  // the arguments of brk that would unmap a seal; empty: none would
};

// Of the pieces: 0 or -errno. The kernel unmaps whatever lies between the new break and the present one, not
// only what /proc calls [heap].
long find_break_reach(const policy::Machine& machine, std::span<const policy::Seal> pieces,
                      BreakReach& reach);

}  // namespace libmseal::shim
