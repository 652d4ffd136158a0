// Sealed memory that may be written, but only by threads whose protection keys allow it.
//
// mseal(2) lets a thread discard such memory if its PKRU register allows writing. No filter sees that
// register, so the filters refuse every discard; the interposed madvise does for a thread that may write what
// discarding does to the contents, by writing. The processor itself refuses that to all others.
#pragma once

#include <cstdint>

#include "shim/preload/state.h"

namespace libmseal::shim {

// madvise(address, length, advice) was refused. Does it as said above, if all of the range is keyed,
// anonymous and sealed, this thread may write it, and the advice is MADV_DONTNEED, MADV_DONTNEED_LOCKED or
// MADV_FREE. 0 or -EPERM. Async-signal-safe.
long discard_by_writing(const State& state, std::uint64_t address, std::uint64_t length, int advice);

}  // namespace libmseal::shim
