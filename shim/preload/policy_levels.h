// The policy files that apply to this program: the system's, the user's, and the one that MSEAL_OPTIONS
// names.
#pragma once

#include "shim/preload/state.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {

// Reads MSEAL_OPTIONS and those files into state.options: what stands in MSEAL_OPTIONS is stronger, and of
// the files the one named last. The supervisor reads the files: `launch` is left ready if it took a new one.
// What is wrong is said, and does not apply; under strict=1 it ends the program. So does a file that nobody
// could read, if it has a rule that the program must not start without: require, harden, strict or an audit.
void read_options(State& state, Launch& launch);

}  // namespace libmseal::shim
