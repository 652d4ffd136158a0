// The parent process, and whether this one may become the parent of others' children.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Whether it runs under the library. False if that is not known.
bool parent_is_under_library(const State& state);

// Whether this process is, or may be, a subreaper.
bool is_subreaper();

}  // namespace libmseal::shim
