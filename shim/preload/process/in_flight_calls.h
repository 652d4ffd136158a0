// Calls in flight: they passed the filters before the newest one was installed. A seal waits until they end.
#pragma once

#include "policy/parsers/syscall_line.h"
#include "policy/rules/abi.h"

namespace libmseal::shim {

// Waits until no other thread is in a call that began before now. 0, or -EAGAIN if one does not return in
// time.
//
// /proc/self/task/TID/syscall shows in which call a thread sleeps. A running thread may be between the filter
// and the memory map's lock (mmap_lock), so it is stopped briefly on its return to user mode. If it can't be
// stopped, it is assumed to be past the lock once it has run for a while: evidence, not proof.
//
// The ABI of a call that may have begun before the first filter is not known. A thread that a tracer has
// stopped at the entry of such a call could make any call without a filter: it is treated as inside one.
long wait_for_in_flight_calls(const policy::Machine& machine, policy::Begun begun);

}  // namespace libmseal::shim
