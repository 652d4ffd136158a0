// Calls that wait for an answer, for example until no other process shares the memory.
#pragma once

#include <linux/seccomp.h>
#include <sys/types.h>

#include <chrono>
#include <vector>

#include "shim/supervisor/listeners/listener.h"

namespace libmseal::supervisor {

class PostponedCalls {
 public:
  explicit PostponedCalls(Listener& listener) : listener_(listener) {}

  // Makes the call wait. False if it has already waited that long.
  [[nodiscard]] bool add(const seccomp_notif& notification,
                         std::chrono::seconds at_most = std::chrono::seconds(1));
  [[nodiscard]] bool empty() const { return calls_.empty(); }
  [[nodiscard]] bool contains(const seccomp_notif& notification) const;
  // Whether the task's call waits here.
  [[nodiscard]] bool has_call_of(pid_t task) const;
  // Each is to be handled again, in this order; if it is not answered then, it waits behind the others.
  [[nodiscard]] std::vector<seccomp_notif> all() const;
  void forget_answered();

 private:
  using Clock = std::chrono::steady_clock;
  struct Call {
    seccomp_notif notification;
    Clock::time_point since = Clock::now();
    int tries = 1;
  };

  Listener& listener_;
  std::vector<Call> calls_;
};

}  // namespace libmseal::supervisor
