// Where the kernel and ld.so put programs when addresses are not randomised.
//
// Images that are started from this one are placed there, too. Filters survive execve and would refuse calls
// of those images. So seals there are enforced by the supervisor, which knows who calls.
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/range.h"

namespace libmseal::shim {

// Sorted, apart.
std::span<const policy::Range> image_places();

// Where the addresses of programs end: the stack lies below, and little else above it.
std::uint64_t end_of_addresses();

// The same, the range in which randomization places programs, and that of libraries under ADDR_COMPAT_LAYOUT.
// Little else is mapped there.
std::span<const policy::Range> watched_places();

// The address to hint at in place of one that mmap need not follow: not in a watched place, for the sake of
// programs that choose random addresses (V8). Images that have the layout of old are there as a whole.
std::uint64_t moved_hint(std::uint64_t address, std::uint64_t flags);

}  // namespace libmseal::shim
