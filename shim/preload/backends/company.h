// What is there when the library starts. The constructors of libraries that the program is linked to run
// before it, and may have started threads or processes.
#pragma once

#include <string_view>

#include "policy/configuration/options.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

inline constexpr std::string_view kSharedMemory =
    "another process shares this memory (vfork, clone), or may share it";

struct Company {
  // Why no filter can protect the objects: another process shares this memory, or may share it, and would not
  // have the filter; or there is an io_uring, whose requests no filter sees.
  Outcome outcome;
  bool threads = false;  // other threads, which may be in calls that began before
};

// To be called before the first filter of a tree is installed.
Company look_for_company(const policy::Options& options);

// The objects are not sealed, for that reason: prints it, and ends a program that requires a backend.
void leave_objects_unsealed(State& state, const Outcome& reason);

// To be called after the objects are covered by filters, if there are other threads: waits for their calls.
// If one does not end, prints that, and ends a program that requires a backend.
void wait_for_calls_of_before(const State& state);

}  // namespace libmseal::shim
