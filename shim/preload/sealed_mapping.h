// mmap with PROT_SEAL.
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// mmap(2) of `protection` without PROT_SEAL, sealed: the address, or -errno. Starts the backend if it has not
// been. Where there is no arena (the backends `kernel` and `libc`; a fixed address; huge pages), the mapping
// is made and then sealed; if that fails, it is unmapped again.
long map_sealed(State& state, const policy::Arguments& arguments);

}  // namespace libmseal::shim
