// Chooses a backend and starts it. The caller holds the lock.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {

// Chooses the strongest backend that the options and the kernel allow, and starts it with the seals of
// `objects` in force. If the backend is weaker than requested, one line says so; if it is weaker than
// `require`, the program ends. `launch` may hold a supervisor that is ready.
void start_backend(State& state, const ObjectsAtStart& objects, SupervisorLaunch& launch, Job& job);

// The same for a program that makes its first seal while it runs (a "late start"): 0, or -EAGAIN if it has an
// io_uring, which may already hold requests that change memory (IORING_OP_MADVISE).
long start_backend_late(State& state, Job& job);

// To be called before anything is sealed, until it has returned 0 once: -EAGAIN while a call from before the
// filters may still be in flight, such as one that creates an io_uring.
long wait_for_earlier_calls(const State& state);
bool earlier_calls_have_ended();

// For an image that is not sealed until it asks for it (scope=process): if there is a supervisor, only keeps
// mappings away from addresses that filters of earlier images refuse.
void start_without_sealing(State& state, Job& job);

}  // namespace libmseal::shim
