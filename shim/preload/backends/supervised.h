// What else the backend `supervised` does, beside the functions of every backend.
#pragma once

#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Joins the tree of a supervisor without any seals. False if there is none.
bool join_idle(State& state, Job& job);

}  // namespace libmseal::shim
