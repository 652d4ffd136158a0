// What harden= asks for: calls that write sealed memory without changing a mapping are refused, in this
// process and all that come from it, whatever the backend.
#pragma once

#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Puts state.options.harden in force, as far as it is not already (an ancestor may have). What can't be had
// ends the program with one line that says why: it was asked for.
void harden(const State& state, Draft& draft);

}  // namespace libmseal::shim
