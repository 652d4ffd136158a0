// Children whose parent has ended.
//
// The supervisor finds the filters that a new program has inherited by the parents in /proc. A process
// that is not a child of the process that joined the tree may have lost its parent. So it sends the
// supervisor a message before it starts a program, while it still has the memory of its image.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Notes that the supervisor has met this process.
void note_announced(State& state);

// Makes this process known if it is neither that one nor certainly its child.
void announce_process(const State& state);

}  // namespace libmseal::shim
