// Proves that no other process shares this memory, and that there is no other thread.
#pragma once

namespace libmseal::shim {

// Whether there is neither another thread nor another process with this memory. The kernel allows unshare of
// what is not shared (kernel/fork.c, check_unshare_flags), and does nothing then. Always false under filters:
// one might kill for the call, or answer instead of the kernel.
bool is_alone_for_sure();

// The same under filters. Only before main: the table of open files must not be shared with anybody on
// purpose. False if there is no proof.
bool proves_to_be_alone();

}  // namespace libmseal::shim
