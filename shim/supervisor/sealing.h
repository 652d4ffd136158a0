// Seals what processes ask for.
//
// Whatever changes memory has to stand still from the look at a range until its seal is in force. So the
// threads of the process are stopped, the range is looked at, the seal is put in force by the supervisor
// itself or by filters of the process, and the range is looked at again.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <span>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_rules.h"
#include "policy/protocol/control.h"
#include "policy/rules/abi.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/seal.h"
#include "shim/supervisor/continued_calls.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/registry.h"
#include "shim/supervisor/thread_holder.h"

namespace libmseal::supervisor {

class Sealing {
 public:
  // `watched`: the ranges in which the first filter notifies of every call.
  Sealing(Proc& proc, Registry& registry, ThreadHolder& holder, ContinuedCalls& calls,
          std::vector<policy::Range> watched, const policy::Options& options);

  // What the messages of control.h are answered; -errno:
  //   ENOMEM  a page is not mapped        EINVAL  a range begins or ends inside of a huge page
  //   E2BIG   too many mappings           ENOSPC  no room for more seals
  //   EAGAIN  another process has this memory, or may have
  //   EBUSY   a thread does not leave a call that changes memory, or the range changes all the time
  //   ESTALE  filters are in that nobody has asked for
  //   EACCES  some of it takes no more types
  std::int64_t add_range(const Caller& caller, const policy::Control& message);
  std::int64_t seal(const Caller& caller, const policy::Control& message);
  std::int64_t filters_are_in(const Caller& caller, const policy::Control& message);
  std::int64_t give_up(const Caller& caller);
  // The process has called execve: what its threads had asked for was of another image.
  void begin_anew(const Process& process);
  std::int64_t is_writable(const Caller& caller, const policy::Range& range);
  // Where the process looks by itself.
  std::int64_t prepare(const Caller& caller, const policy::Seal& wanted);
  std::int64_t is_alone(const Caller& caller);
  std::int64_t add(const Caller& caller, const policy::Control& message);

  // mseal(2) by a program that has no filters of its own: 0 or -errno as that call has it.
  std::int64_t seal_raw(const Caller& caller, const policy::Machine& machine,
                        const policy::Arguments& arguments);

  // Called after each answer, and every few milliseconds while it returns true: lets go of threads. After the
  // answer, so that the one that waits for it is the first to run.
  bool tidy() noexcept;
  [[nodiscard]] bool holds_threads() const;

 private:
  struct Wanted {
    policy::Range range;
    bool constant = false;
    bool with_data = false;
  };
  // What a thread wants to have sealed, and how far that has come.
  struct Job {
    explicit Job(ThreadHolder& holder) : held(holder) {}

    Process process;
    std::vector<Wanted> wanted;
    std::vector<policy::Range> ranges;  // sorted, apart
    std::vector<policy::Seal> pieces;
    std::vector<policy::KeyedRange> keyed;
    policy::Range refused_breaks;
    std::uint64_t present_break = 0;  // 0: not known
    policy::DiscardRule discard = policy::DiscardRule::strict;
    policy::SealTypes types = policy::kWholeSeal;
    int attempts = 0;
    HeldThreads held;
    std::chrono::steady_clock::time_point last_heard;
  };

  [[nodiscard]] bool is_watched(std::span<const policy::Range> ranges) const;
  [[nodiscard]] bool is_in_force(const Caller& caller, const SealEntry& entry,
                                 const policy::Range& heap) const;
  [[nodiscard]] bool is_sealed(const Caller& caller, Job& job) const;
  Job* job_of(const Caller& caller);
  void end(Job& job);
  long choose_ranges(const Caller& caller, Job& job) const;
  long look(const Caller& caller, Job& job) const;
  ThreadHolder::Result hold(const Caller& caller, Job& job);
  // Until no call is under way that was let through before the seal.
  bool wait_for_calls(const Caller& caller, const Job& job);
  std::int64_t start(const Caller& caller, Job& job);
  std::int64_t seal_by_supervisor(const Caller& caller, Job& job);
  static std::int64_t hand_out(const Caller& caller, const Job& job, policy::Way way);
  long put_in_force(const Caller& caller, const Job& job, bool filtered);

  Proc& proc_;
  Registry& registry_;
  ThreadHolder& holder_;
  ContinuedCalls& calls_;
  std::vector<policy::Range> watched_;
  policy::Options options_;
  policy::TreeRules rules_;
  std::map<pid_t, Job> jobs_;
};

}  // namespace libmseal::supervisor
