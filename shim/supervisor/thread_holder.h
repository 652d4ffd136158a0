// Keeps threads from changing their memory while it is looked at and sealed.
//
// A thread that sleeps outside of every call that changes memory is left asleep: a stop would end some calls
// with EINTR. If it wakes up meanwhile, the second look (sealing.h) tells what it has changed.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

struct TracedThread {
  pid_t id = 0;
  bool stopped = false;
  int signal = 0;  // that it was about to take, and gets back
};
using HeldThreads = std::vector<TracedThread>;

class ThreadHolder {
 public:
  explicit ThreadHolder(Proc& proc) : proc_(proc) {}

  enum class Result : std::uint8_t {
    held,       // none of them runs, and none is inside a call that changes memory or makes a sharer of it
    forbidden,  // one may not be stopped (Yama, a debugger, another user), or can't be looked at
    cloning,    // one makes a process with the same memory, or waits for one that it has made
    stuck,      // one does not come out of its call
  };

  // The threads of the processes, all but `except`. Whatever it answers, release() has to follow.
  Result hold(std::span<const pid_t> processes, pid_t except, HeldThreads& held);
  void release(HeldThreads& held);

  // Lets go of those that were stopped too late for that. True while there are some.
  bool let_go_of_stragglers();

 private:
  Result stop_threads(pid_t process, pid_t except, HeldThreads& held);
  Result wait_for_stops(HeldThreads& held);

  Proc& proc_;
  HeldThreads stragglers_;
};

}  // namespace libmseal::supervisor
