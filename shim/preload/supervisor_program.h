// Where the supervisor program is.
#pragma once

#include "shim/preload/state.h"

namespace libmseal::shim {

// Its path into state.supervisor_path: what the options name, else beside this object, else where the
// installation puts it.
void find_supervisor(State& state);

}  // namespace libmseal::shim
