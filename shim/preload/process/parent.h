// The parent process.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Whether it runs under the library. False if that is not known.
bool parent_is_under_library(const State& state);

}  // namespace libmseal::shim
