// mseal, by the backend that is in use. Each of these takes the lock, and starts the backend if necessary.
#pragma once

#include <span>

#include "mseal/mseal.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// As mseal(2), or by seals of fewer types: 0 or -errno.
long seal(State& state, std::uint64_t address, std::uint64_t length,
          policy::SealTypes types = policy::kWholeSeal);

// For calls of the program itself. EACCES: the option sealable=required is set, and this is not what
// MAP_SEALABLE has placed.
long seal_for_program(State& state, std::uint64_t address, std::uint64_t length,
                      policy::SealTypes types = policy::kWholeSeal);
long seal_all_for_program(State& state, std::span<const mseal_range> ranges);

// As mseal_ranges(): all of them, or none.
long seal_all(State& state, std::span<const mseal_range> ranges);

// Has the supervisor find what is constant, and seals that: `result` is 0 or -errno. False if it may not
// look, or there is none.
bool seal_constant_parts(State& state, std::span<const ConstantPart> parts, long& result);

// Without the lock.
policy::Sealed query(const State& state, const policy::Range& range);

// 0 or -errno.
long start_backend_if_needed(State& state);
// The same for a mapping that shall be sealed from birth: every process with this memory has the first filter
// then.
long start_backend_for_sealed_mappings(State& state);

}  // namespace libmseal::shim
