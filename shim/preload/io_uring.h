// Rings that a program has made before its first seal.
#pragma once

#include "policy/configuration/options.h"

namespace libmseal::shim {

// Whether there may be one: an open descriptor, a mapping, or a thread of the kernel that works for one. Not
// asked where open=io_uring accepts them.
bool may_have_io_uring(const policy::Options& options);

}  // namespace libmseal::shim
