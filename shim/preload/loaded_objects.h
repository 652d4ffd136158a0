// The memory of the ELF objects in this process that never changes again.
#pragma once

#include "shim/preload/state.h"

namespace libmseal::shim {

// Appends the read-only private file memory of every loaded object to `pieces`: 0 or -errno (ENOMEM: too
// many).
long find_constant_segments(const State& state, Pieces& pieces);

}  // namespace libmseal::shim
