// The options of this program: MSEAL_OPTIONS and the policy files that apply, the system's, the user's, and
// the one that MSEAL_OPTIONS names.
#pragma once

#include "shim/preload/state/state.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {

// Reads MSEAL_OPTIONS and those files into state.options. MSEAL_OPTIONS overrides the files, and later files
// override earlier ones. The supervisor reads the files: if a new one was started for that, `launch` holds
// it. Mistakes are reported and ignored; under strict=1 they end the program. If the supervisor can't read
// the files and one sets require, harden, strict or mode=audit, the program ends as well.
void read_options(State& state, SupervisorLaunch& launch);

}  // namespace libmseal::shim
