// Finds out what a call would touch when its arguments do not show it.
#pragma once

#include <sys/types.h>

#include "policy/mm_call.h"

namespace libmseal::supervisor {

// Fills in the ranges of `call` made by `task`, from its maps and the kernel's tables. What can't be found
// out is left empty, which the verdict refuses. A call that the kernel is sure to refuse, or that touches
// nothing, loses its effect.
void resolve_extent(pid_t task, policy::MmCall& call);

// [start of the heap, present break); empty if there is none.
policy::Range heap_of(pid_t task);

}  // namespace libmseal::supervisor
