// What ran before the library. The constructors of other libraries of the program may run before its own, and
// may have started threads and processes, or created rings.
#pragma once

#include <string_view>

#include "shim/preload/backends/backend.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

inline constexpr std::string_view kSharedMemory =
    "another process shares this memory (vfork, clone), or may share it";

struct RanBefore {
  ObjectsAtStart objects;  // that can be sealed: all, or none
  bool threads = false;    // there are other threads, which may be in calls that began before
};

// To be called before the first filter of a tree is installed. No filter can protect the objects if another
// process shares this memory, or may share it, because it would not have the filter; or if there is an
// io_uring, whose requests no filter sees. Then they are left unsealed.
RanBefore look_at_what_ran_before(State& state, const ObjectsAtStart& objects);

// Whether no older process shares this memory, as after execve.
bool has_own_memory();

// The objects are not sealed, for that reason: prints it, and ends a program that requires a backend.
void leave_objects_unsealed(State& state, const Reason& reason);

// To be called after the objects are covered by filters, if there are other threads: waits for their calls
// and looks again. If one may change an object, the objects are treated as unsealed.
void wait_for_older_threads(State& state, long (*is_alone)(const State&));

}  // namespace libmseal::shim
