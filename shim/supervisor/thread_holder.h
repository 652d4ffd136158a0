// Keeps threads from changing their memory while it is looked at and sealed.
//
// A thread that sleeps in a call that changes no memory may be left asleep, because a stop would end some
// calls with EINTR. If it wakes up meanwhile, the second look (sealer.h) shows what it has changed.
#pragma once

#include <sys/types.h>

#include <list>
#include <span>

#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

// Attached to, and stopped or about to stop.
struct TracedThread {
  pid_t id = 0;
  bool stopped = false;
  int signal = 0;  // that it was about to take, and gets back
};

class ThreadHolder;

// Stopped threads. The destructor gives them to the holder, which lets go of them at the next let_go().
class HeldThreads {
 public:
  explicit HeldThreads(ThreadHolder& holder) : holder_(holder) {}
  ~HeldThreads();
  HeldThreads(const HeldThreads&) = delete;
  HeldThreads& operator=(const HeldThreads&) = delete;

  [[nodiscard]] bool empty() const { return threads_.empty(); }
  // Lets go of them now.
  void release() noexcept;

 private:
  friend class ThreadHolder;

  ThreadHolder& holder_;
  std::list<TracedThread> threads_;
};

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

  // The threads of the processes, all but `except`. Whatever it answers, some may be held.
  Result hold(std::span<const pid_t> processes, pid_t except, HeldThreads& held,
              Sleepers sleepers = Sleepers::left_asleep);

  [[nodiscard]] bool is_asleep_elsewhere(pid_t task) { return is_at(task, policy::Whereabouts::elsewhere); }
  // Whether the thread has left the call that it was in: it sleeps elsewhere, has ended, or stops before it
  // returns to the program. To be asked again, with the same `held`, empty at first, until it has.
  bool has_left_call(pid_t task, HeldThreads& held);
  // Takes the thread out of whatever call it runs, for a moment. False if it may not be stopped, or has not
  // within a second.
  bool take_out_of_call(pid_t task);

  // Lets go of those that nobody holds any more. True while some are left, which have not stopped yet.
  bool let_go() noexcept;
  [[nodiscard]] bool has_some_to_let_go() const { return !released_.empty(); }

 private:
  friend class HeldThreads;

  Result stop_threads(pid_t process, pid_t except, HeldThreads& held, Sleepers sleepers);
  Result wait_for_stops(HeldThreads& held, Sleepers sleepers);
  [[nodiscard]] bool is_at(pid_t task, policy::Whereabouts where);

  Proc& proc_;
  std::list<TracedThread> released_;
};

inline HeldThreads::~HeldThreads() {
  holder_.released_.splice(holder_.released_.end(), threads_);
}

inline void HeldThreads::release() noexcept {
  holder_.released_.splice(holder_.released_.end(), threads_);
  (void)holder_.let_go();
}

}  // namespace libmseal::supervisor
