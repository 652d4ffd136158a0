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

// Whether an older process shares this memory. `start_time`: of this process, in clock ticks as in /proc.
Sharing search_older_sharers(const ProcRoot& proc, std::uint64_t start_time);

// To be called after a look that found none, if every thread was seen outside of clone after `since` and
// before the look.
inline void note_alone(State& state, const ForkSample& since) {
  state.alone_since = since;
  state.alone_process = raw_syscall(__NR_getpid);
}

}  // namespace libmseal::shim
