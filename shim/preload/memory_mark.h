// Makes this memory one that can be told from others by what everybody may see of a process.
//
// Whether another process has this memory is asked of kcmp(2), which container profiles refuse and which does
// not compare with processes of other users. But VmPeak in /proc/PID/status is the memory's, is shown to
// everybody, and never falls (kernel/fork.c, dup_mm: a fork begins anew). So it is made a number that no
// other memory is likely to have.
#pragma once

namespace libmseal::shim {

// Maps some random gigabytes for a moment. Nothing happens if there is no room for them.
void mark_memory();

}  // namespace libmseal::shim
