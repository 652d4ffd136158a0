// The first filter: it refuses changes of what is sealed from the start and of the arena, notifies what the
// supervisor has to decide, and blocks the calls that no filter can judge.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

struct BaseFilter {
  std::span<const policy::Seal> denied;      // refused by the filter itself
  policy::Range refused_breaks;              // and so are these arguments of brk
  policy::Range arena;                       // empty if there is none
  bool supervised = false;                   // a supervisor takes the notifications
  std::span<const policy::Range> watched{};  // where it decides
};

// Into draft.program. False if these are too many ranges for one filter.
bool write_base_filter(const State& state, const BaseFilter& filter, Draft& draft);

// Whether this process has it. What the library remembers belongs to the memory: a child made by vfork or
// with CLONE_VM may have started the backend, for itself alone.
bool has_base_filter(const State& state);

}  // namespace libmseal::shim
