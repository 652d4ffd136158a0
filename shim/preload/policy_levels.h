// The policy files that apply to this program: the system's, the user's, and the one that MSEAL_OPTIONS
// names.
#pragma once

#include "shim/preload/state.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {

// Reads MSEAL_OPTIONS and those files into state.options. MSEAL_OPTIONS is the strongest, then the file named
// last. The supervisor reads the files: `launch` is left ready if a new one was started for it. Mistakes are
// reported and do not apply; under strict=1 they end the program. So does a file that can't be read, if it
// has a rule that the program must not start without: require, harden, strict or an audit.
void read_options(State& state, Launch& launch);

}  // namespace libmseal::shim
