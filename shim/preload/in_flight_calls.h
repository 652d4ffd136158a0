// Calls that passed the filters before the newest one was installed: a seal waits until they have ended.
#pragma once

#include "policy/parsers/syscall_line.h"
#include "policy/rules/abi.h"

namespace libmseal::shim {

// Waits until no other thread can still be inside a call that began before now. 0, or -EAGAIN if one does not
// come out of it in time.
//
// /proc/self/task/TID/syscall shows in which call a thread sleeps. One that runs may be between the filter
// and the memory map's lock, so it is stopped for a moment on its way back to user mode. One that can't be
// stopped counts as past the lock once it has run for a while longer: evidence, no proof.
//
// Calls that began before the first filter may be of an ABI that shows less; and a thread that a tracer holds
// at the entry of a call has passed, or not yet made, one that the filters have never seen.
long wait_for_in_flight_calls(const policy::Machine& machine, policy::Begun begun);

}  // namespace libmseal::shim
