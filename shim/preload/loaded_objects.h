// The memory of the ELF objects in this process that is sealed at start.
#pragma once

#include "shim/preload/state.h"

namespace libmseal::shim {

// Appends what the options want of every loaded object to `pieces`: 0 or -errno (ENOMEM: too many).
long find_constant_segments(const State& state, Pieces& pieces);

}  // namespace libmseal::shim
