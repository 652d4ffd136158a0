// Reads the program's own mappings, if the supervisor does not.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Puts the mappings in `ranges` (sorted, disjoint) into `found`, as seals of these types: 0 or -errno.
// ENOMEM: a page is not mapped, or there are too many pieces; EINVAL: a part of a huge page.
long find_own_pieces(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                     FoundMappings& found);

// The same after a filter was installed, which can't be undone. So a failure to read, for lack of a
// descriptor or of memory, is retried for a tenth of a second.
long find_own_pieces_again(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                           FoundMappings& found);

}  // namespace libmseal::shim
