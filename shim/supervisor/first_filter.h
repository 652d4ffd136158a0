// Who has the first filter of the tree. It reaches the threads of the process that installs it and what is
// born of them. In a tree that begins with a program's start that is everybody. Before a late start that
// process may have made others, which have none, and nobody hears of their calls.
#pragma once

#include "shim/supervisor/proc.h"
#include "shim/supervisor/seal_entry.h"

namespace libmseal::supervisor {

class FirstFilter {
 public:
  explicit FirstFilter(Proc& proc) : proc_(proc) {}

  // The process that has installed it, long after its start.
  void note_late_start(const Process& process) {
    late_ = true;
    first_ = process;
  }
  // Not if that is not sure. Of a task of a process that shares memory in the tree.
  [[nodiscard]] bool is_had_by(const Process& process, pid_t task) const {
    const auto status = proc_.status(task);
    return status.is_seen() && status->filtered && (!late_ || process == first_);
  }

 private:
  Proc& proc_;
  bool late_ = false;
  Process first_;
};

}  // namespace libmseal::supervisor
