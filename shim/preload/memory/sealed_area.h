// The address ranges for mmap with PROT_SEAL (the "sealed area") and with MAP_SEALABLE.
//
// The first filter refuses every change in two windows, at random addresses where the kernel places nothing
// by itself: one for mappings whose contents are protected (private, not writable), one for the others. So a
// PROT_SEAL mapping is sealed from the moment that it exists, without a filter or a message, in any number.
// In an audit the supervisor watches the windows.
//
// A third window after them, for MAP_SEALABLE, is a watched range: the supervisor enforces seals there
// without a filter.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Addresses for the first two windows; the third is also free. Empty if there is no room.
policy::Range choose_sealed_area();

enum class Window : std::uint8_t { protected_contents, other_contents, sealable };  // in address order

// Empty if there is no sealed area.
policy::Range range_of(Window window, const policy::Range& sealed_area);

// Stores where the windows of the tree are; the third one needs a supervisor.
void set_windows(State& state, const policy::Range& sealed_area, bool supervised);

bool has_window(const State& state, Window window);

// Whether the range lies in the third window.
bool is_placed_sealable(const State& state, const policy::Range& range);

// Whether the range touches the first two windows.
bool is_in_sealed_area(const State& state, const policy::Range& range);

// The address hint of an mmap, or 0 if the mapping would lie in one of the windows, where most can never be
// changed. The kernel then chooses an address. With MAP_FIXED, the address itself.
std::uint64_t hint_outside_windows(const State& state, std::uint64_t address, std::uint64_t length,
                                   std::uint64_t flags);

// mmap(2) at the next free place of the window, which must exist: the address, or -errno.
long map_in_window(State& state, Window window, const policy::Arguments& arguments);

// Moves the mappings in `range` into the window, which is not in use yet: the new address, or -errno.
long move_to_window(State& state, Window window, const policy::Range& range);

}  // namespace libmseal::shim
