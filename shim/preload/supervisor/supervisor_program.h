// Finds the supervisor program.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Sets state.supervisor_path: the option `supervisor`, else a file next to this object, else the installed
// one.
void find_supervisor(State& state);

}  // namespace libmseal::shim
