// What the kernel says of itself, which does not change: asked for before anybody can have put something
// else where it says so.
#pragma once

#include <cstdint>

#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

struct KernelSizes {
  std::uint64_t huge_page = ~0ULL;  // of what is made without a word about its size; ~0: not known
  std::uint64_t processors = 8192;  // so many may come to be at most; 8192 (NR_CPUS): not known
};

KernelSizes kernel_sizes(Proc& proc);

}  // namespace libmseal::supervisor
