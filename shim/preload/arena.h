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

enum class Window : std::uint8_t { kept, other };  // in this order

bool has_window(const State& state, Window window);

// mmap(2) at the next free place of the window, which is there: the address, or -errno.
long map_in_arena(State& state, Window window, const policy::Arguments& arguments);

}  // namespace libmseal::shim
