// Sealed memory that may be written, but only by threads whose protection keys allow it.
//
// mseal(2) lets a thread discard such memory if its PKRU register allows writing. Filters do not see that
// register, so they refuse every discard. The interposed madvise then clears the memory by writing, and the
// processor refuses that to all threads that may not write.
#pragma once

#include <cstdint>

#include "shim/preload/state.h"

namespace libmseal::shim {

// madvise(address, length, advice) was refused. Does it as said above, if all of the range is keyed,
// anonymous and sealed, this thread may write it, and the advice is MADV_DONTNEED, MADV_DONTNEED_LOCKED or
// MADV_FREE. 0 or -EPERM. Async-signal-safe.
long discard_by_writing(const State& state, std::uint64_t address, std::uint64_t length, int advice);

}  // namespace libmseal::shim
