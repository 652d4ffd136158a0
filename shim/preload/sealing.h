// mseal: by whichever backend is there.
#pragma once

#include <span>

#include "mseal/mseal.h"
#include "shim/preload/state.h"
#include "shim/preload/supervised_sealing.h"

namespace libmseal::shim {

// As mseal(2): 0 or -errno. Starts the backend if it has not been. Takes the lock.
long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags);

// As mseal_ranges(): all of them, or none.
long seal_all(State& state, std::span<const mseal_range> ranges, std::uint64_t flags);

// Has the supervisor look for what is constant, and sealed. False if it may not look.
bool seal_constant_parts(State& state, std::span<const Wanted> wanted, long& result);

}  // namespace libmseal::shim
