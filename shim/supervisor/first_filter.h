// Who has the first filter of the tree. It reaches the threads of the process that installs it and what is
// born of them, no other process: one that was there before has none, and nobody hears of its calls.
#pragma once

#include <cstdint>

#include "shim/supervisor/birth_times.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/seal_entry.h"

namespace libmseal::supervisor {

class FirstFilter {
 public:
  explicit FirstFilter(Proc& proc) : proc_(proc), since_(proc.now()) {}

  // The process that has installed it, before any other joins.
  void note_first(const Process& process) {
    if (filters_ == ~0U) filters_ = filters_of(proc_, process.id);
  }
  [[nodiscard]] bool is_had_by(const Process& process, pid_t task) const {
    const auto status = proc_.status(task);
    if (!status.is_seen() || !status->filtered) return false;
    if (nanoseconds_of_ticks(process.start_time) > since_) return true;
    // Born in the same tick: the number of filters tells.
    return nanoseconds_of_ticks(process.start_time + 1) > since_ && status->filters != ~0U &&
           status->filters >= filters_;
  }

 private:
  Proc& proc_;
  std::uint64_t since_;          // it was there then, in ns since boot
  std::uint32_t filters_ = ~0U;  // so many the first process had with it; ~0: not known
};

}  // namespace libmseal::supervisor
