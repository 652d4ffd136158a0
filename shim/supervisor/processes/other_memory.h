// Evidence that a task has another memory than a process of the tree, where kcmp(2) is not allowed.
#pragma once

#include <cstdint>

#include "shim/common/proc_root.h"

namespace libmseal::supervisor {

// `first`: the start time of the tree's first process, if that had the first filter before anything else ran
// in it; otherwise 0, and there is no evidence. Then no older process has a memory of the tree: each was
// created by execve or fork after that. And no process of the tree can change the addresses that execve sets,
// because prctl(PR_SET_MM) is blocked. Forks have the same addresses; the kernel may not show them.
inline bool has_other_memory(const shim::ProcRoot& proc, std::uint64_t first, long own, long task) {
  policy::StatLine one;
  policy::StatLine other;
  if (first == 0 || shim::read_stat(proc, task, other) != 0) return false;
  if (other.start_time < first) return true;
  return shim::read_stat(proc, own, one) == 0 && one.start_stack != 0 && other.start_stack != 0 &&
         (one.start_stack != other.start_stack || one.start_code != other.start_code ||
          one.arg_start != other.arg_start);
}

}  // namespace libmseal::supervisor
