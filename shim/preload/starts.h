// The images that this process starts: where the kernel puts them.
//
// A filter survives execve. Each takes room that the kernel limits, and a fresh image may land where one
// refuses, before the library can do anything about it: then the image does not start, or the dynamic linker
// leaves the library out. So where there are many filters, or one refuses much, images are started with the
// layout of old (ADDR_COMPAT_LAYOUT): still at random, but in watched places, where the supervisor decides
// and no filter is needed. Their memory calls are notified.
#pragma once

#include "policy/rules/range.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// Filters refuse there, in this process and in what it starts. Only where a supervisor watches those places.
void note_filtered(State& state, const policy::Range& range);

// Sets the layout for what the calling thread and its children start, if there is much that they might meet.
void prepare_starts(const State& state);

// Finds libc's functions that start programs. Called once, at start.
void find_starting_functions();

}  // namespace libmseal::shim
