// What the kernel says of itself and does not change. It is read at the start, before anybody can mount
// something over it.
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
