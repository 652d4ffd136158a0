// Seccomp filters that were there before: a service's, a container's, a sandbox's.
#pragma once

namespace libmseal::shim {

// Whether one of them kills for mseal(2), seccomp(2) or openat2(2). A child tries them, unless filters of the
// library are in force already: whoever installed those was not killed. g_killed_calls is filled in on the
// way.
bool other_filters_kill();

// Whether one kills for a message to the supervisor by mmap (control.h). Known once that was asked.
extern bool g_wrapping_kills;

// Whether filters of an earlier image of this tree are in force, so that mseal(2) is not the kernel's. Known
// once other_filters_kill() was asked.
extern bool g_is_in_tree;

// Whether enabling tagged addresses is refused, which our filters do, and the kernel does not.
bool tagging_is_refused();

}  // namespace libmseal::shim
