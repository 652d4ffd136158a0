// What harden= asks for: calls that write sealed memory without changing a mapping are refused, in this
// process and all that come from it, whatever the backend.
#pragma once

#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Puts state.options.harden in force, unless an ancestor has done so. If that is impossible, the program ends
// with one line that says why.
void harden(const State& state, Draft& draft);

}  // namespace libmseal::shim
