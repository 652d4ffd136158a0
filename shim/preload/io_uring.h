// Rings that a program has made before its first seal.
#pragma once

#include "policy/configuration/options.h"

namespace libmseal::shim {

// 1 if there is one: an open descriptor, a mapping, or a thread of the kernel that works for one. 0 if there
// is none, or open=io_uring accepts them; -errno if nobody can tell.
long look_for_io_uring(const policy::Options& options);

}  // namespace libmseal::shim
