// Picks what enforces the seals, and starts it.
#pragma once

#include <string_view>

#include "shim/preload/state.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {

// Picks the strongest backend that the options and the kernel allow, and starts it with the seals in
// state.pieces (the objects loaded at start; may be empty) in force. Whatever is weaker than what was asked
// for is said in one line; weaker than `require`, it ends the program. `launch` may hold a supervisor that is
// ready. The caller holds the lock.
void start_backend(State& state, Launch& launch);

// The same for a program that has run already and asks for its first seal: 0, or -EAGAIN if it has made an
// io_uring before, which may change memory by requests that it holds already (IORING_OP_MADVISE).
long start_backend_late(State& state);

// For an image that is to be left alone until it asks for seals (scope=process): if there is a supervisor,
// what filters of earlier images refuse is fenced off all the same.
void start_idle(State& state);

}  // namespace libmseal::shim
