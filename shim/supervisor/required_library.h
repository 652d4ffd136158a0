// A program that the library is required for, and that would run without.
#pragma once

#include "shim/supervisor/registry.h"

namespace libmseal::supervisor {

// The caller is about to run its first instructions, and may have been placed where an inherited filter
// refuses. The dynamic linker can't map a library in full there, nor unmap it again: a part of it is still
// there. It then does without the library, as long as that was only preloaded.
[[nodiscard]] bool would_lose_library(Proc& proc, const Caller& caller, Registry& registry);

}  // namespace libmseal::supervisor
