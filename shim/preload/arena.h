// Memory that is sealed from birth: mmap with PROT_SEAL.
//
// The first filter refuses every change in two windows of the address space, at places chosen at random where
// the kernel puts nothing by itself: one for mappings whose contents are protected (private, not writable),
// one for the others. So whatever is mapped there is sealed when it comes: no filter, no message, no moment
// in between, and as many mappings as the kernel has room for. In an audit the supervisor knows the windows.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// A place for both windows, with nothing in it; empty if there is none.
policy::Range choose_arena();

// The windows in that place: the first is the one whose contents are protected.
policy::Range protected_window(const policy::Range& arena);
policy::Range other_window(const policy::Range& arena);

// Tells this image where the windows of its tree are.
void set_arena(State& state, const policy::Range& arena);

// mmap(2) of `protection` without PROT_SEAL, sealed: the address, or -errno. Starts the backend if it has not
// been. Where there is no arena (the backends `kernel` and `libc`; a fixed address; huge pages), the mapping
// is made and then sealed; if that fails, it is unmapped again.
long map_sealed(State& state, const policy::Arguments& arguments);

}  // namespace libmseal::shim
