// Flags of seccomp(2) that are not in the headers of every system that this builds on.
#pragma once

namespace libmseal::shim {

inline constexpr unsigned long kTsyncEsrch = 1UL << 4;        // SECCOMP_FILTER_FLAG_TSYNC_ESRCH, Linux 5.7
inline constexpr unsigned long kWaitKillableRecv = 1UL << 5;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 5.19

}  // namespace libmseal::shim
