// Memory that is sealed from birth: mmap with PROT_SEAL. And memory that is cheap to seal: MAP_SEALABLE.
//
// The first filter refuses every change in two windows of the address space, at places chosen at random where
// the kernel puts nothing by itself: one for mappings whose contents are protected (private, not writable),
// one for the others. So whatever is mapped there is sealed when it comes: no filter, no message, no moment
// in between, and as many mappings as the kernel has room for. In an audit the supervisor knows the windows.
//
// A third window lies behind them, in which the supervisor is notified of every change. What is sealed there
// is sealed by it, without a filter.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// A place for the two windows, with nothing in it or in the third; empty if there is none.
policy::Range choose_arena();

// The windows in that place: the first is the one whose contents are protected.
policy::Range protected_window(const policy::Range& arena);
policy::Range other_window(const policy::Range& arena);
// Behind that place: the window that is watched. Empty if there is no arena.
policy::Range watched_window(const policy::Range& arena);

// Tells this image where the windows of its tree are; the third one takes a supervisor.
void set_arena(State& state, const policy::Range& arena, bool supervised);

enum class Window : std::uint8_t { kept, other, watched };  // in this order

bool has_window(const State& state, Window window);

// Whether all of the range lies where MAP_SEALABLE places mappings.
bool is_placed_sealable(const State& state, const policy::Range& range);

// Whether some of the range lies where everything is refused.
bool is_in_arena(const State& state, const policy::Range& range);

// mmap(2) at the next free place of the window, which is there: the address, or -errno.
long map_in_arena(State& state, Window window, const policy::Arguments& arguments);

// Moves what is mapped there into the window, which nobody else knows of yet: its new address, or -errno.
long move_to_arena(State& state, Window window, const policy::Range& range);

}  // namespace libmseal::shim
