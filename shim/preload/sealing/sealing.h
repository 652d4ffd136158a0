// mseal, by the current backend. Each function takes the lock, and starts the backend if necessary, unless it
// says otherwise.
#pragma once

#include <span>

#include "mseal/mseal.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/supervised_sealing.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// As mseal(2), or with fewer types: 0 or -errno.
long seal(State& state, std::uint64_t address, std::uint64_t length,
          policy::SealTypes types = policy::kWholeSeal);

// For calls of the program itself. EACCES: sealable=required is set, and the range was not placed by
// MAP_SEALABLE.
long seal_for_program(State& state, std::uint64_t address, std::uint64_t length,
                      policy::SealTypes types = policy::kWholeSeal);
long seal_all_for_program(State& state, std::span<const mseal_range> ranges);

// As mseal_ranges(): all of them, or none.
long seal_all(State& state, std::span<const mseal_range> ranges);

// Lets the supervisor, which must be there, find what is constant in the parts, and seals that.
SupervisorAnswer seal_object_parts(State& state, std::span<const ObjectPart> parts);

// Without the lock.
policy::Sealed query(const State& state, const policy::Range& range);

// 0 or -errno.
long start_backend_if_needed(State& state);
// The same for a PROT_SEAL mapping: also makes sure that every process that shares this memory has the first
// filter.
long start_backend_for_sealed_mappings(State& state);

}  // namespace libmseal::shim
