// The images that this process starts: where the kernel puts them.
//
// Filters survive execve, and the kernel limits their number. The kernel may place a fresh image where one of
// them refuses calls. Then the image does not start, or the dynamic linker leaves the library out. So if
// there are many filters, or one refuses much, images are started with the old layout (ADDR_COMPAT_LAYOUT).
// It is random as well, but in watched places, where the supervisor decides and no filter is needed.
#pragma once

#include "policy/rules/range.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Filters refuse there, in this process and in what it starts. Only where a supervisor watches those places.
void note_filtered(State& state, const policy::Range& range);

// Sets the layout for what the calling thread and its children start, if filters refuse much.
void prepare_starts(const State& state);

// Finds libc's functions that start programs. Called once, at start.
void find_starting_functions();

}  // namespace libmseal::shim
