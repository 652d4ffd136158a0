// The last allowed call of each thread, which may still be in flight.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>

#include "policy/rules/mm_call.h"
#include "policy/rules/range.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/sealing/thread_holder.h"

namespace libmseal::supervisor {

class ContinuedCalls {
 public:
  ContinuedCalls(Proc& proc, ThreadHolder& holder) : proc_(proc), holder_(holder) {}

  void begun(pid_t task, const policy::MmCall& call);
  // The thread makes another call, so the previous one has ended.
  void ended(pid_t task) { calls_.erase(task); }

  // Waits until no thread is inside such a call on `range`. `concerned` says which processes matter. False if
  // that is not known for a thread.
  bool wait_for(const policy::Range& range, const std::function<bool(pid_t)>& concerned);

  // Forgets threads that have ended.
  void forget_ended();
  // The same, but only if there are many, because a program may start one thread after the other.
  void keep_few() {
    if (calls_.size() >= forget_at_) forget_ended();
  }

 private:
  static constexpr std::size_t kMany = 1024;

  bool wait_for_evidence(pid_t task);

  Proc& proc_;
  ThreadHolder& holder_;
  std::size_t forget_at_ = kMany;
  std::map<pid_t, policy::MmCall> calls_;
};

}  // namespace libmseal::supervisor
