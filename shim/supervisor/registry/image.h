// An image: the result of one execve, and the processes that run it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "shim/common/fork_sample.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/caller.h"
#include "shim/supervisor/registry/fence.h"
#include "shim/supervisor/registry/inspection_budget.h"
#include "shim/supervisor/registry/seal_record.h"
#include "shim/supervisor/registry/table_file.h"

namespace libmseal::supervisor {

struct Member {
  std::unique_ptr<HeldTask> task;      // null if it could not be held
  std::shared_ptr<SealRecord> record;  // the same object for all that share one memory
  // Its memory could not be read when it was first seen.
  bool first_seen_hidden = false;
  // It called execve to create the image, but a child with the same memory was the first to seal.
  bool executed_it = false;
  std::unique_ptr<HeldMemory> memory;  // if executed_it; null if it could not be held
};

// One executed image and its forks.
struct Image {
  MmIdentity identity;
  Process creator;                     // the process that called execve, or the first one that was seen
  std::unique_ptr<HeldMemory> memory;  // the creator's; null if it could not be held
  std::unique_ptr<TableFile> table;
  std::vector<Fence> fences;                       // as in the table, which has only the ranges
  std::map<Process, Member> members;               // the processes that have been seen
  std::vector<std::shared_ptr<SealRecord>> ended;  // of former members, for children not seen yet
  shim::ForkSample registered_at;                  // all processes that were visible then are members
  InspectionBudget inspections;                    // for searching members that have ended
  std::uint32_t number = 0;                        // in the events file; 0: it has no event yet

  // Null if the process is not a member.
  [[nodiscard]] const Member* find(const Process& process) const {
    const auto found = members.find(process);
    return found != members.end() ? &found->second : nullptr;
  }
  [[nodiscard]] Member* find(const Process& process) {
    return const_cast<Member*>(std::as_const(*this).find(process));
  }
  // The first member with that ID, and which process it is; null if there is none.
  [[nodiscard]] const std::pair<const Process, Member>* find_by_id(pid_t id) const {
    const auto found = members.lower_bound({id, 0});
    return found != members.end() && found->first.id == id ? &*found : nullptr;
  }

  // Of the members, then of those that have ended.
  template <class Visit>
  void for_each_record(Visit visit) const {
    for (const auto& [process, member] : members) visit(*member.record);
    for (const auto& record : ended) visit(*record);
  }
};

}  // namespace libmseal::supervisor
