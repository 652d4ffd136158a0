// Sealed writable memory with a protection key: only threads whose key rights allow it may write.
//
// mseal(2) lets a thread discard such memory if its PKRU register allows writing. Filters can't read that
// register, so they refuse every discard. The interposed madvise then writes zeros instead, which the
// processor prevents in threads that may not write.
#pragma once

#include <cstdint>

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// To be called after madvise(address, length, advice) was refused. Discards as said above if all of the range
// is sealed anonymous memory with keys, this thread may write it, and the advice is MADV_DONTNEED,
// MADV_DONTNEED_LOCKED or MADV_FREE. 0 or -EPERM. Async-signal-safe.
long discard_by_writing(const State& state, std::uint64_t address, std::uint64_t length, int advice);

}  // namespace libmseal::shim
