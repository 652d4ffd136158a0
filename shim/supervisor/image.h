// An executed image, and the processes that run it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "shim/common/births.h"
#include "shim/supervisor/caller.h"
#include "shim/supervisor/look_budget.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/record.h"
#include "shim/supervisor/table_file.h"

namespace libmseal::supervisor {

struct Member {
  std::unique_ptr<HeldTask> task;  // null if it could not be held
  std::shared_ptr<Record> record;  // the same object for all that have one memory
  // Its memory could not be read when it was met.
  bool met_hidden = false;
  // It called execve, and a child with the same memory sealed first.
  bool executed_it = false;
  std::unique_ptr<HeldMemory> memory;  // of one that did; null if it could not be held
};

// One executed image and its forks.
struct Image {
  MmIdentity identity;
  Process creator;                     // the process that called execve to become this image, or was first
  std::unique_ptr<HeldMemory> memory;  // the creator's; null if it could not be held
  std::unique_ptr<TableFile> table;
  std::map<Process, Member> members;           // the processes that have been met
  std::vector<std::shared_ptr<Record>> ended;  // of members that are none any more, for children not yet met
  shim::Births met;                            // whoever could be found before that is a member
  LookBudget looks;                            // at all, for what has ended
  std::uint32_t number = 0;                    // in the file of events; 0: there is none of it yet
};

}  // namespace libmseal::supervisor
