// Later filters, which refuse changes of sealed memory.
#pragma once

#include <span>

#include "policy/bpf/range_program.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

struct DenyFilter {
  std::span<const policy::Seal> pieces;  // sorted, disjoint; of the same types
  policy::Range refused_breaks;          // the arguments of brk that would unmap one of them
  bool supervised = false;               // the first filter notifies a supervisor of delegated calls
};

// Installs filters that refuse every call that touches the pieces; a single one if possible. 0, or -errno
// with no filter installed; -EIO: /proc does not show whether it is.
long install_deny_filter(State& state, const DenyFilter& filter, Draft& draft);

// A filter that refuses these arguments of brk was installed.
void note_refused_breaks(State& state, const policy::Range& breaks);

// Splits pieces into the two lists of DeniedRanges: draft.ranges and draft.contents.
void list_ranges(std::span<const policy::Seal> pieces, Draft& draft);

// Sets `refused` to what filters have to refuse without a supervisor. False if that is too much for one
// filter.
bool refuse_what_nobody_judges(std::span<const policy::Seal> pieces, policy::Unsupervised& refused,
                               Draft& draft);

}  // namespace libmseal::shim
