// Rings of io_uring that a program has created before its first seal.
#pragma once

#include "policy/configuration/options.h"

namespace libmseal::shim {

// 1 if there is one: an open descriptor, a mapping, or a kernel thread that serves it. 0 if there is none, or
// if open=io_uring is set; -errno if it is not known.
long look_for_io_uring(const policy::Options& options);

// The same for a process that has one thread, so no worker, and no ring in its mappings.
long look_for_io_uring_descriptor(const policy::Options& options);

}  // namespace libmseal::shim
