// Filters that refuse what touches sealed memory.
#pragma once

#include <span>

#include "policy/bpf/range_program.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

struct DenyFilter {
  std::span<const policy::Seal> pieces;  // sorted, apart; of the same types
  policy::Range refused_breaks;          // the arguments of brk that would unmap one of them
  bool supervised = false;  // the first filter brings what the arguments do not show to the supervisor
};

// Installs filters that refuse every call touching the pieces, for this process and its children; one, if
// they fit into one. 0 or -errno: then none is in force.
long install_deny_filter(State& state, const DenyFilter& filter, Draft& draft);

// Splits pieces into the two lists that a range program takes: draft.ranges and draft.contents.
void list_ranges(std::span<const policy::Seal> pieces, Draft& draft);

// What a filter refuses altogether if no supervisor can look closer, into `refused`. False if that is too
// much for one filter.
bool refuse_what_nobody_judges(std::span<const policy::Seal> pieces, policy::Unsupervised& refused,
                               Draft& draft);

}  // namespace libmseal::shim
