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
// Of calls that may have begun before the first filter, the ABI is not known. And no filter looks at the call
// of a thread that a tracer has held at its entry since then: the thread counts as inside of one.
long wait_for_in_flight_calls(const policy::Machine& machine, policy::Begun begun);

}  // namespace libmseal::shim
