// Makes another thread of this process leave the kernel, for a moment.
#pragma once

namespace libmseal::shim {

// Waits for the end of the thread's system call, stops it on its return to user mode and resumes it. False if
// it has ended or can't be stopped: a debugger is attached, ptrace is not allowed here (Yama, a filter,
// PR_SET_DUMPABLE), or its call does not end in time.
//
// Only another process can do this, so a child does it. Like a vfork child it shares our memory while we
// wait. The caller holds the lock, with signals blocked.
bool stop_thread(long id);

}  // namespace libmseal::shim
