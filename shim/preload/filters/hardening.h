// The option harden=: refuses calls that write sealed memory without changing a mapping, in this process and
// its descendants, under every backend.
#pragma once

#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Enforces state.options.harden, unless an ancestor has done so. If that is impossible, the program ends with
// a message.
void harden(const State& state, Draft& draft);

}  // namespace libmseal::shim
