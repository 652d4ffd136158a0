// mmap with PROT_SEAL, and with MAP_SEALABLE.
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// mmap(2) of `protection` without PROT_SEAL, sealed: the address, or -errno. Starts the backend if it has not
// been. Where there is no arena (the backends `kernel` and `libc`; a fixed address; huge pages), the mapping
// is made and then sealed; if that fails, it is unmapped again.
long map_sealed(State& state, const policy::Arguments& arguments);

// mmap(2) of `flags` without MAP_SEALABLE, at a place that is cheap to seal: the address, or -errno. 0 if
// there is no such place; then the caller maps it as usual.
long map_sealable(State& state, const policy::Arguments& arguments);

}  // namespace libmseal::shim
