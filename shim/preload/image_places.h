// Where the kernel and ld.so put programs when addresses are not randomised.
//
// Images that are started from this one land there too. So what is sealed there is refused by the supervisor,
// which knows who calls, and not by filters, which are inherited by exec and would refuse their own
// successors.
#pragma once

#include <span>

#include "policy/range.h"

namespace libmseal::shim {

// Sorted, apart.
std::span<const policy::Range> image_places();

}  // namespace libmseal::shim
