// Makes the VmPeak of this process random, as a mark of its memory that every process can read.
//
// kcmp(2) shows whether another process shares this memory. But container profiles refuse it, and it needs
// ptrace access to the other process. VmPeak in /proc/PID/status belongs to the memory, can be read by
// everybody, and never decreases; a fork starts with a new one (kernel/fork.c, dup_mm).
#pragma once

namespace libmseal::shim {

// Maps 1 to 4 GiB, at random, for a moment; only once. Does nothing if there is no room for them.
void mark_vm_peak();

}  // namespace libmseal::shim
