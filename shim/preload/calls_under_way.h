// Calls that passed the filters before the newest one came run to their end: a seal waits for them.
#pragma once

#include "policy/abi.h"

namespace libmseal::shim {

// Waits until no other thread can still be inside a call that began before now. 0, or -EAGAIN if one does not
// come out of it in time.
//
// A thread that sleeps tells by /proc/self/task/TID/syscall where it sleeps. One that is running may be
// between the filter and the memory map's lock; it is taken to be past that once it has run for a while
// longer, which is evidence and no proof. Then one
// operation of our own queues for the lock behind everybody.
long wait_for_calls_under_way(const policy::Machine& machine);

}  // namespace libmseal::shim
