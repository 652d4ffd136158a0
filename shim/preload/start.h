// Picks what enforces the seals, and starts it. The caller holds the lock.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {

// Picks the strongest backend that the options and the kernel allow, and starts it with the seals of
// `objects` (those loaded at start; sorted, apart; may be empty) in force. `refused_breaks`: the arguments of
// brk that would unmap one. If the backend is weaker than what was asked for, one line says so; if it is
// weaker than `require`, the program ends. `launch` may hold a supervisor that is ready.
void start_backend(State& state, std::span<const policy::Seal> objects, const policy::Range& refused_breaks,
                   Launch& launch, Job& job);

// The same for a program that has run already and asks for its first seal: 0, or -EAGAIN if it has made an
// io_uring before, which may change memory by requests that it holds already (IORING_OP_MADVISE).
long start_backend_late(State& state, Job& job);

// After that, and before anything is sealed: 0, or -EAGAIN while a call from before the filters may still
// come to an end, such as one that makes an io_uring. Asked until it has been 0 once.
long settle_late_start(const State& state);
bool late_start_is_settled();

// For an image that is to be left alone until it asks for seals (scope=process): if there is a supervisor,
// what filters of earlier images refuse is fenced off all the same.
void start_idle(State& state, Job& job);

}  // namespace libmseal::shim
