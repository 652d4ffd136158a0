// Filters that refuse what touches sealed memory.
#pragma once

#include <span>

#include "policy/bpf/range_program.h"
#include "policy/rules/seal.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Installs filters that refuse every call touching state.pieces (sorted, apart), and every brk that would
// unmap one (state.refused_breaks), for this process and its children; one, if they fit into one. 0 or
// -errno: then none is in force.
long install_deny_filter(State& state);

// Splits pieces into the two lists that a range program takes: state.ranges and state.contents.
void list_ranges(State& state, std::span<const policy::Seal> pieces);

// What a program refuses altogether where there is no supervisor to look closer.
policy::Unsupervised refuse_what_nobody_judges(State& state, std::span<const policy::Seal> pieces);

}  // namespace libmseal::shim
