// The parent of the supervisor, in a program that would otherwise adopt it: process 1, or a subreaper. Such a
// program may wait until it has no child left, and the supervisor lives as long as the program does.
#pragma once

namespace libmseal::shim {

// Runs in a child of the program that has no exit signal, so that an ordinary wait() does not see it, and
// which is the supervisor's parent. (execve would give it one: fs/exec.c, de_thread.) Gives up what it has of
// the program, and waits until the supervisor has ended. Returns only if its descriptors can't be closed.
void stay_parent_of(long supervisor);

}  // namespace libmseal::shim
