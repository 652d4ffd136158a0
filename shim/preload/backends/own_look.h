// Looks at the program's own mappings, where no supervisor does.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// What is mapped in `ranges` (sorted, apart), as seals of these types: 0 or -errno. ENOMEM if any of it is
// not mapped, or it is in too many pieces; EINVAL for a part of a huge page.
long find_own_pieces(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                     Found& found);

// The same once a filter is installed, which can't be undone. So a look that fails, for lack of a descriptor
// or of memory, is tried again for a tenth of a second.
long find_own_pieces_again(const State& state, std::span<const policy::Range> ranges, policy::SealTypes types,
                           Found& found);

}  // namespace libmseal::shim
