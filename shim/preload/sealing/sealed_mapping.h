// mmap with PROT_SEAL, and with MAP_SEALABLE.
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// mmap(2) of a sealed mapping; `arguments` do not have PROT_SEAL. Returns the address, or -errno. Starts the
// backend if necessary. Where the sealed area can't be used (the backends `kernel` and `libc`; a fixed
// address; huge pages), the mapping is made and then sealed; if that fails, it is unmapped again.
long map_sealed(State& state, const policy::Arguments& arguments);

// mmap(2) in the window for MAP_SEALABLE; `arguments` do not have that flag. Returns the address, or -errno.
// 0 if the window can't be used; then the caller maps as usual.
long map_sealable(State& state, const policy::Arguments& arguments);

}  // namespace libmseal::shim
