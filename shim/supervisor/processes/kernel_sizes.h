// Constants of the kernel. They are read at start, before a process can mount something over the files.
#pragma once

#include <cstdint>

#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

struct KernelSizes {
  std::uint64_t huge_page = ~0ULL;  // the default huge page size; ~0: not known
  std::uint64_t processors = 8192;  // the maximum number of processors; 8192 (NR_CPUS): not known
};

KernelSizes kernel_sizes(Proc& proc);

}  // namespace libmseal::supervisor
