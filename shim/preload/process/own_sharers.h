// Finds out whether other processes share this memory, without the supervisor.
#pragma once

#include "shim/common/sharers.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Whether another process shares this memory, which none did at `since`. See sharers.h.
Sharing search_own_sharers(const ProcRoot& proc, const ForkSample& since, const ForkSample& now);

// The same since this process was last found to be alone. 0, or -EAGAIN: one does, or may; or -EXDEV, after a
// message: /proc does not show all that may.
long look_for_sharers(const State& state);

}  // namespace libmseal::shim
