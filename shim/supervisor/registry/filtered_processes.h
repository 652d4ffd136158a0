// Which processes have the first filter of the tree: the process that installs it and its later descendants.
// If it is installed at program start, these are all processes of the tree. But before a late start that
// process may have created others, which have no filter and are not notified.
#pragma once

#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/seal_entry.h"

namespace libmseal::supervisor {

class FilteredProcesses {
 public:
  explicit FilteredProcesses(Proc& proc) : proc_(proc) {}

  // `process` has installed the filter long after its start.
  void note_late_start(const Process& process) {
    late_ = true;
    first_ = process;
  }
  // False if not sure. For a task of a process that shares memory with a process of the tree.
  [[nodiscard]] bool contains(const Process& process, pid_t task) const {
    const auto status = proc_.status(task);
    return status.is_seen() && status->filtered && (!late_ || process == first_);
  }

 private:
  Proc& proc_;
  bool late_ = false;
  Process first_;
};

}  // namespace libmseal::supervisor
