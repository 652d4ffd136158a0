// mseal(2) by a raw system call, under coverage=all: the program installs no filter for it.
#pragma once

#include "shim/supervisor/sealing/sealer.h"

namespace libmseal::supervisor {

// 0, or -errno as from the kernel's mseal(2).
long raw_mseal(Sealer& sealer, Registry& registry, const Caller& caller, const policy::Arguments& arguments,
               policy::DiscardRule discard);

}  // namespace libmseal::supervisor
