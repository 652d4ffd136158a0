// Calls that passed the filters before the newest one came run to their end: a seal waits for them.
#pragma once

#include "policy/rules/abi.h"

namespace libmseal::shim {

// Waits until no other thread can still be inside a call that began before now. 0, or -EAGAIN if one does not
// come out of it in time.
//
// A thread that sleeps tells by /proc/self/task/TID/syscall in which call. One that runs may be between the
// filter and the memory map's lock: it is stopped for a moment, on its way back to user mode. One that can't
// be stopped is taken to be past the lock once it has run for a while longer: evidence, no proof.
long wait_for_in_flight_calls(const policy::Machine& machine);

}  // namespace libmseal::shim
