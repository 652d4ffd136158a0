// From which process another one was copied.
//
// /proc shows a parent. A process was copied from that one, unless it was born as a child of its maker's
// parent (CLONE_PARENT), or its maker has ended and another process has adopted it: one that has asked for
// orphans (PR_SET_CHILD_SUBREAPER), or the first one of a pid namespace (kernel/fork.c, copy_process;
// kernel/exit.c, find_new_reaper). The first filter reports both calls before they are made, so nobody who
// has it has such a child that is not noted here.
#pragma once

#include <set>

#include "shim/supervisor/proc.h"
#include "shim/supervisor/seal_entry.h"

namespace libmseal::supervisor {

class Lineage {
 public:
  explicit Lineage(Proc& proc) : proc_(proc) {}

  // Others' children may become its children from now on.
  void note_adopter(const Process& process);
  // The same of its parent.
  void note_sibling_of(const Process& process);
  // The same of everybody.
  void note_unknown() { unknown_ = true; }

  // Whether all children that the process has, as /proc shows them, were copied from it.
  [[nodiscard]] bool has_only_own_children(const Process& process) const;

 private:
  Proc& proc_;
  std::set<Process> adopters_;
  bool unknown_ = false;
};

}  // namespace libmseal::supervisor
