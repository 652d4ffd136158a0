// The first filter. It refuses changes of what is sealed at start and of the sealed area, notifies the
// supervisor of the calls that it has to decide, and blocks the calls that no filter can decide.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

struct FirstFilter {
  std::span<const policy::Seal> denied;      // refused by the filter itself
  policy::Range refused_breaks;              // and so are these arguments of brk
  policy::Range sealed_area;                 // empty if there is none
  bool supervised = false;                   // a supervisor takes the notifications
  std::span<const policy::Range> watched{};  // where it decides
};

// Writes it to draft.program. False if there are too many ranges for one filter.
bool write_first_filter(const State& state, const FirstFilter& filter, Draft& draft);

// Whether this process has it. The library's state does not tell: a child made by vfork or with CLONE_VM,
// which shares that state, may have installed the filter only for itself.
bool has_first_filter(const State& state);

}  // namespace libmseal::shim
