// Sealing where no supervisor may look: the program does, by /proc, and waits until no thread is left that
// saw the range unsealed.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Ranges sorted and apart: 0 or -errno.
long seal_by_own_look(State& state, std::span<const policy::Range> ranges);

}  // namespace libmseal::shim
