// The memory of the ELF objects in this process that is to be sealed. Not for two threads at once.
#pragma once

#include "shim/preload/state.h"

namespace libmseal::shim {

// Appends what the options want of every loaded object to `pieces`: 0 or -errno (ENOMEM: too many).
long find_constant_segments(const State& state, Pieces& pieces);

// How many objects have been loaded so far.
unsigned long long count_objects();

// The same of the objects that count as late ones (LateSeal), as far as the dynamic linker has finished them,
// into `pieces`. False if it is at work on one.
bool find_late_segments(const State& state, Pieces& pieces);

}  // namespace libmseal::shim
