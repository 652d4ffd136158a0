// mseal: by whichever backend is there. Each of these takes the lock, and starts the backend if it has not
// been.
#pragma once

#include <span>

#include "mseal/mseal.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// As mseal(2): 0 or -errno.
long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags);

// As mseal_ranges(): all of them, or none.
long seal_all(State& state, std::span<const mseal_range> ranges, std::uint64_t flags);

// Has the supervisor look for what is constant, and sealed: `result` is 0 or -errno. False if it may not
// look, or there is none.
bool seal_constant_parts(State& state, std::span<const ConstantPart> parts, long& result);

// As mseal_query(). Without the lock.
policy::Coverage query(const State& state, const policy::Range& range);

// 0 or -errno.
long start_backend_if_needed(State& state);

}  // namespace libmseal::shim
