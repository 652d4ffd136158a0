// Where the kernel places the images that this process starts.
//
// Filters survive execve, and the kernel limits their total size. The kernel may place a new image where one
// of them refuses calls. Then the image does not start, or the dynamic linker does not load the library. So
// if filters refuse many or large ranges, images are started with the legacy layout (ADDR_COMPAT_LAYOUT). Its
// addresses are random, too, but in watched ranges, where the supervisor decides and no filter is needed.
#pragma once

#include "policy/rules/range.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Notes that a filter refuses this range, for the decision above. Only under a supervisor.
void note_filtered(State& state, const policy::Range& range);

// Sets the layout for programs that the calling thread and its children start, if filters refuse enough. The
// previous personality of the thread, or an error if it was not changed.
long set_exec_layout(const State& state);
void restore_exec_layout(long before);

}  // namespace libmseal::shim
