// Stops threads, so that they can't change their memory while it is read and sealed.
//
// A thread that sleeps in a call that changes no memory may be left asleep, because a stop would end some
// calls with EINTR. If it wakes up meanwhile, the second reading (sealer.h) shows what it has changed.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <functional>
#include <list>
#include <span>
#include <utility>
#include <vector>

#include "shim/common/no_copy.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

// A thread that is attached, and stopped or about to stop.
struct TracedThread {
  pid_t id = 0;
  pid_t process = 0;
  bool stopped = false;
  int signal = 0;  // that it was about to receive and that is redelivered
};

class ThreadHolder;

// Stopped threads. The destructor passes them to the holder, which resumes them at the next let_go().
class HeldThreads : shim::NoCopy {
 public:
  explicit HeldThreads(ThreadHolder& holder);
  ~HeldThreads();

  [[nodiscard]] bool empty() const { return threads_.empty(); }
  // Resumes them now.
  void release() noexcept;

 private:
  friend class ThreadHolder;

  ThreadHolder& holder_;
  std::list<TracedThread> threads_;
};

class ThreadHolder {
 public:
  explicit ThreadHolder(Proc& proc) : proc_(proc) {}

  // `waits`: whether the task stands still anyway, because its call waits for the supervisor's answer. It
  // can't be stopped then.
  void set_waits(std::function<bool(pid_t task)> waits) { waits_ = std::move(waits); }

  enum class Result : std::uint8_t {
    held,       // none of them runs, or is in a call that changes memory or creates a sharer
    forbidden,  // one may not be stopped (Yama, a debugger, another user), or can't be inspected
    cloning,    // as `held`, but one is creating a sharer, or waits for its vfork child
    stuck,      // one does not return from its call
    busy,       // one is in execve (seize.h), or threads begin and end all the time: later
  };

  // Stops the threads of the processes except `except`. Whatever the result, some may be held.
  Result hold(std::span<const pid_t> processes, pid_t except, HeldThreads& held);

  [[nodiscard]] bool is_asleep_elsewhere(pid_t task) {
    return proc_.whereabouts(task).is(policy::Whereabouts::elsewhere);
  }
  // Whether the thread has left its call: it sleeps elsewhere, has ended, or has stopped on its return to the
  // program. To be called with the same `held`, which is empty at first, until it is true.
  bool has_left_call(pid_t task, HeldThreads& held);
  // Makes the thread leave its call, for a moment. False if it may not be stopped, or does not stop within a
  // second.
  bool take_out_of_call(pid_t task);

  // Resumes threads that are not held any more. True while some are left that have not stopped yet.
  bool let_go() noexcept;
  // Whether threads that are not held any more are still attached: those, and first threads that have ended.
  [[nodiscard]] bool has_some_to_let_go() const { return !released_.empty(); }
  // Whether some of them will run at once when they are resumed.
  [[nodiscard]] bool has_stopped_to_let_go() const {
    return std::ranges::any_of(released_, &TracedThread::stopped);
  }

 private:
  friend class HeldThreads;

  Result stop_threads(pid_t process, pid_t except, HeldThreads& held);
  Result wait_for_stops(HeldThreads& held);
  int interrupt(pid_t task, pid_t process, HeldThreads& held);
  [[nodiscard]] pid_t process_of(pid_t task);
  enum class Seen : std::uint8_t { running, stopped, gone };
  Seen look_for_stop(TracedThread& thread);
  bool has_ended_first(const TracedThread& thread) noexcept;
  [[nodiscard]] std::vector<pid_t> attached() const;

  Proc& proc_;
  std::function<bool(pid_t)> waits_;
  std::list<TracedThread> released_;
  std::list<HeldThreads*> all_held_;
};

inline HeldThreads::HeldThreads(ThreadHolder& holder) : holder_(holder) {
  holder_.all_held_.push_back(this);
}

inline HeldThreads::~HeldThreads() {
  holder_.all_held_.remove(this);
  holder_.released_.splice(holder_.released_.end(), threads_);
}

inline void HeldThreads::release() noexcept {
  holder_.released_.splice(holder_.released_.end(), threads_);
  (void)holder_.let_go();
}

}  // namespace libmseal::supervisor
