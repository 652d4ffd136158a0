// Gives this memory a mark that everybody can see.
//
// kcmp(2) tells whether another process has this memory. But container profiles refuse it, and it does not
// compare with processes of other users. VmPeak in /proc/PID/status belongs to the memory, is shown to
// everybody, and never falls; a fork begins with a new one (kernel/fork.c, dup_mm). So it is made a number
// that no other memory is likely to have.
#pragma once

namespace libmseal::shim {

// Maps some random gigabytes for a moment. Nothing happens if there is no room for them.
void mark_memory();

}  // namespace libmseal::shim
