// Evidence that a task has another memory than a process of the tree, where kcmp(2) is not allowed.
#pragma once

#include <cstdint>

#include "shim/common/proc_root.h"

namespace libmseal::supervisor {

// What is known of the tree's first process when its listener is handed over.
struct FirstProcess {
  bool has_own_memory = false;       // no older process shares its memory
  bool filtered_from_start = false;  // it had the first filter before anything else ran in it
  std::uint64_t start_time = 0;      // clock ticks, as in /proc
};

// Each memory of the tree was created by execve or fork after its first process was. So no older process has
// one of them. And no process of the tree can change the addresses that execve sets,
// because prctl(PR_SET_MM) is blocked. Forks have the same addresses; the kernel may not show them.
inline bool has_other_memory(const shim::ProcRoot& proc, const FirstProcess& first, long own, long task) {
  policy::StatLine one;
  policy::StatLine other;
  if (!first.has_own_memory || shim::read_stat(proc, task, other) != 0) return false;
  if (other.start_time < first.start_time) return true;
  return first.filtered_from_start && shim::read_stat(proc, own, one) == 0 && one.start_stack != 0 &&
         other.start_stack != 0 &&
         (one.start_stack != other.start_stack || one.start_code != other.start_code ||
          one.arg_start != other.arg_start);
}

}  // namespace libmseal::supervisor
