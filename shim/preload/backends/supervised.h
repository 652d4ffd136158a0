// A function of the backend `supervised` that other backends do not have.
#pragma once

#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Joins the tree of an existing supervisor without sealing anything. False if there is none.
bool join_without_sealing(State& state, Job& job);

}  // namespace libmseal::shim
