// mseal(2) by a program that has no filters of its own.
#pragma once

#include "policy/rules/abi.h"
#include "shim/supervisor/sealer.h"

namespace libmseal::supervisor {

// 0 or -errno as that call has it.
long raw_mseal(Sealer& sealer, Registry& registry, const Caller& caller, const policy::Arguments& arguments,
               policy::DiscardRule discard);

}  // namespace libmseal::supervisor
