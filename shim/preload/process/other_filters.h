// Seccomp filters from before the library started: of a service, container or sandbox, or of this tree.
#pragma once

namespace libmseal::shim {

// Whether one of them kills for mseal(2), seccomp(2) or openat2(2). A child tries these calls, unless filters
// of the library are in force, which shows that these calls do not kill. Also sets g_killed_calls.
bool other_filters_kill();

// Whether one of them kills for a message to the supervisor by mmap (control.h). Set by other_filters_kill().
extern bool g_wrapping_kills;

// Whether filters of this tree are in force, so that they answer mseal(2). Set by other_filters_kill().
extern bool g_is_in_tree;

// Whether enabling tagged addresses is refused, which only the library's filters do.
bool tagging_is_refused();

}  // namespace libmseal::shim
