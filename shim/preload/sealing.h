// mseal: cover the range, wait until nobody is left who saw it uncovered, and look whether it is still the
// same.
#pragma once

#include "policy/range.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// As mseal(2): 0 or -errno. Starts the backend if it has not been. Takes the lock.
long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags);

// Installs a filter that refuses every call touching state.pieces (sorted, apart), for this process and its
// children. `heap` is [start_brk, break) if one of them lies there. 0 or -errno.
long install_deny_filter(State& state, const policy::Range& heap);

// Splits the pieces into the two lists that a range program takes: state.ranges and state.contents.
void list_ranges(State& state);

}  // namespace libmseal::shim
