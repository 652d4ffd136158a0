// Keeps threads from changing their memory while it is looked at and sealed.
//
// For a seal, a thread that sleeps outside of every call that changes memory is left asleep: a stop would end
// some calls with EINTR. If it wakes up meanwhile, the second look (sealing.h) tells what it has changed.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

struct TracedThread {
  pid_t id = 0;
  bool traced = false;
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
    cloning,    // the same, but one makes a process with the same memory, or waits for one that it has made
    stuck,      // one does not come out of its call
  };

  // What becomes of threads that sleep outside of every call that changes memory.
  enum class Sleepers {
    left_asleep,
    stopped,  // or will stop before they return to the program
  };

  // The threads of the processes, all but `except`. Whatever it answers, release() has to follow.
  Result hold(std::span<const pid_t> processes, pid_t except, HeldThreads& held,
              Sleepers sleepers = Sleepers::left_asleep);
  void release(HeldThreads& held);

  [[nodiscard]] bool is_asleep_elsewhere(pid_t task) { return is_at(task, policy::Whereabouts::elsewhere); }
  // Whether the thread has left the call that it was in: it sleeps elsewhere, has ended, or stops before it
  // returns to the program. To be asked again, with the same `thread`, until it has; then release() follows.
  bool has_left_call(TracedThread& thread);

  // Lets go of those that were stopped too late for that. True while there are some.
  bool let_go_of_stragglers();

 private:
  Result stop_threads(pid_t process, pid_t except, HeldThreads& held, Sleepers sleepers);
  Result wait_for_stops(HeldThreads& held, Sleepers sleepers);
  [[nodiscard]] bool is_at(pid_t task, policy::Whereabouts where);

  Proc& proc_;
  HeldThreads stragglers_;
};

}  // namespace libmseal::supervisor
