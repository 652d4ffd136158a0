// Detects programs that would run without the library although it is required.
#pragma once

#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {

// The caller is about to run its first instructions, and may have been placed where an inherited filter
// refuses changes. The dynamic linker can neither map a library in full there nor unmap the part that it has
// mapped. It continues without a library that is only preloaded.
[[nodiscard]] bool would_lose_library(Proc& proc, const Caller& caller, Registry& registry);

}  // namespace libmseal::supervisor
