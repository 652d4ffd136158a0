// When a live process was created, and how many filters it inherited, according to /proc.
#pragma once

#include <cstdint>

#include "shim/common/fork_sample.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/processes/start_clock.h"
#include "shim/supervisor/registry/seal_entry.h"

namespace libmseal::supervisor {

// The number of its filters; ~0: not known.
inline std::uint32_t filters_of(Proc& proc, pid_t task) {
  const auto status = proc.status(task);
  return status.is_seen() ? status->filters : ~0U;
}

// `filters`: how many it has now, which may be more than it inherited; ~0: read them.
inline Birth birth_of(Proc& proc, const Process& process, std::uint32_t filters) {
  // It was created before the end of that tick.
  return {nanoseconds_of_ticks(process.start_time + 1),
          filters != ~0U ? filters : filters_of(proc, process.id)};
}

// A sample as of when the process was created. Since it has called execve later, its sharers are younger.
inline shim::ForkSample fork_sample_at_birth_of(Proc& proc, const Process& process,
                                                const shim::ForkSample& now) {
  const std::uint64_t age = proc.now() - nanoseconds_of_ticks(process.start_time);
  return {process.id, now.time - age};
}

}  // namespace libmseal::supervisor
