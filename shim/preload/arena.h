// Memory that is sealed from birth: mmap with PROT_SEAL.
//
// Two windows of the address space lie in the hull from the start, at places chosen at random where the
// kernel puts nothing by itself: one for mappings whose contents are kept (private, not writable), one for
// the others. With the first use they are sealed as a whole, so that whatever is mapped there later is sealed
// when it comes: no filter, no message, no moment in between, and as many mappings as the kernel has room
// for.
#pragma once

#include <cstdint>

#include "policy/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// A place for the windows of a new tree, for its hull; empty if there is none.
policy::Range choose_arena();

// Tells this image where the windows of its tree are.
void set_arena(State& state, const policy::Range& arena);

// mmap(2) of `protection` without PROT_SEAL, sealed: the address, or -errno. Starts the backend if it has not
// been. Where there is no arena (backends without a supervisor; a fixed address; huge pages; a process that
// shares its table), the mapping is made and then sealed; if that fails, it is unmapped again.
long map_sealed(State& state, const policy::Arguments& arguments);

}  // namespace libmseal::shim
