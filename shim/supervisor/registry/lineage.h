// Finds out which process forked another one.
//
// /proc shows the parent of a process. The parent has forked it, unless its creator used CLONE_PARENT, or has
// ended and a subreaper (PR_SET_CHILD_SUBREAPER) or the first process of a pid namespace has adopted it
// (kernel/fork.c, copy_process; kernel/exit.c, find_new_reaper). The first filter reports both calls before
// they are made, so all processes that may have such children are noted here.
#pragma once

#include <optional>
#include <set>

#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/seal_entry.h"

namespace libmseal::supervisor {

class Lineage {
 public:
  explicit Lineage(Proc& proc) : proc_(proc) {}

  // The process may adopt orphans from now on.
  void note_adopter(const Process& process);
  // The process is about to create a child of its parent.
  void note_sibling_of(const Process& process);
  // Any process may have adopted children.
  void note_unknown() { unknown_ = true; }

  // The process that has forked this one, if that is certain.
  [[nodiscard]] std::optional<Process> parent_of(const Process& process) const;
  // Whether the process has forked all of its children in /proc.
  [[nodiscard]] bool has_only_own_children(const Process& process) const;

 private:
  Proc& proc_;
  std::set<Process> adopters_;
  bool unknown_ = false;
};

}  // namespace libmseal::supervisor
