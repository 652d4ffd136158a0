// Brings another thread of this process out of the kernel, for a moment.
#pragma once

namespace libmseal::shim {

// Lets the thread run to the end of the system call that it may be in, stops it on its way back to user mode
// and lets it go on. True once it has been there, or has ended; false if it can't be stopped: somebody debugs
// it, ptrace is not allowed here (Yama, a filter, PR_SET_DUMPABLE), or its call does not end in time.
//
// The kernel allows this to other processes only, so a child does it, in our memory and while we wait (as
// vfork): nothing is copied. The caller holds the lock, with signals blocked.
bool stop_thread(long id);

}  // namespace libmseal::shim
