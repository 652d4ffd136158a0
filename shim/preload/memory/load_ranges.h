// Where the kernel and ld.so place programs and libraries without address randomization.
//
// Images that this one executes are placed there, too, and a filter, which survives execve, would refuse
// their calls. So the supervisor enforces seals there: it knows which image makes a call.
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/range.h"

namespace libmseal::shim {

// Sorted, disjoint.
std::span<const policy::Range> load_ranges_without_aslr();

// The end of user addresses, or a little less: the stack lies below.
std::uint64_t end_of_addresses();

// load_ranges_without_aslr(), and the ranges where randomization places programs and, under
// ADDR_COMPAT_LAYOUT, libraries. Little else is mapped there.
std::span<const policy::Range> watched_ranges();

// Replaces an address hint of mmap that lies in a watched place, where calls are slow, for programs that
// choose random addresses (V8). Not in images with the legacy layout, which lie there as a whole.
std::uint64_t moved_hint(std::uint64_t address, std::uint64_t flags);

}  // namespace libmseal::shim
