// mseal: cover the range, wait until nobody is left who saw it uncovered, and look whether it is still the
// same.
#pragma once

#include <span>

#include "mseal/mseal.h"
#include "policy/range.h"
#include "policy/range_program.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// As mseal(2): 0 or -errno. Starts the backend if it has not been. Takes the lock.
long seal(State& state, std::uint64_t address, std::uint64_t length, std::uint64_t flags);

// As mseal_ranges(): all of them, or none.
long seal_all(State& state, std::span<const mseal_range> ranges, std::uint64_t flags);

// Installs filters that refuse every call touching state.pieces (sorted, apart), and every brk that would
// unmap one (state.breaks), for this process and its children; one, if they fit into one. 0 or -errno: then
// none is in force.
long install_deny_filter(State& state);

// Asks the supervisor to refuse what touches the piece. False if it does not.
bool seal_by_supervisor(const policy::Seal& piece);

// Splits pieces into the two lists that a range program takes: state.ranges and state.contents.
void list_ranges(State& state, std::span<const policy::Seal> pieces);

// What a program refuses altogether where there is no supervisor to look closer.
void refuse_what_nobody_judges(State& state, std::span<const policy::Seal> pieces,
                               policy::RangeProgram& what);

}  // namespace libmseal::shim
