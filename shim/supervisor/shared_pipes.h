// Pipes to which this process writes its log or events, and which the program has, too.
//
// Their reader waits until everybody has closed them, often before it waits for the program itself. Until
// then the ended program still counts as one that could make calls: before Linux 6.11 the listener does not
// hang up (kernel/seccomp.c, seccomp_filter_release). So each would wait for the other.
#pragma once

#include <chrono>
#include <vector>

#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {

class SharedPipes {
 public:
  // Finds the pipes that are open.
  SharedPipes();

  // Leaves them once no known process of the tree lives. To be called now and then.
  void leave_if_alone(const Registry& registry);
  // How long this process may wait for calls, in ms, if otherwise it would wait for `patience`; -1: for ever.
  [[nodiscard]] int patience(int patience) const;

 private:
  std::vector<int> pipes_;
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace libmseal::supervisor
