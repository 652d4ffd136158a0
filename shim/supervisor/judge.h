// Decides one notification after the other.
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_rules.h"
#include "policy/protocol/control.h"
#include "policy/rules/verdict.h"
#include "shim/supervisor/continued_calls.h"
#include "shim/supervisor/event_log.h"
#include "shim/supervisor/listener.h"
#include "shim/supervisor/policy_levels.h"
#include "shim/supervisor/proc.h"
#include "shim/supervisor/registry.h"
#include "shim/supervisor/sealing.h"

namespace libmseal::supervisor {

class Judge {
 public:
  // `watched`: the ranges in which the first filter notifies of every call.
  Judge(Listener& listener, Proc& proc, Registry& registry, const PolicyLevels& policies,
        std::vector<policy::Range> watched, const policy::Options& options);

  // Answers it, whatever happens: what fails refuses the call.
  void handle(const seccomp_notif& notification) noexcept;
  // There is nothing to do for a moment.
  void idle() noexcept;
  // After so many ms without a notification idle() wants to be called; -1: never.
  [[nodiscard]] int patience() const;
  [[nodiscard]] int events_error() const { return events_.error(); }

 private:
  using Clock = std::chrono::steady_clock;
  // A call that waits until nobody shares the memory any more.
  struct Postponed {
    seccomp_notif notification;
    Clock::time_point until;
  };

  void decide_about(const seccomp_notif& notification);
  void handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native);
  // mseal by a raw system call, which is the supervisor's business under coverage all.
  void handle_raw_mseal(const seccomp_notif& notification, const policy::Arguments& arguments);
  void handle_control(const seccomp_notif& notification, const policy::Control& message);
  void respond(const seccomp_notif& notification, std::int64_t answer);
  // What the message is answered: a value or -errno.
  std::int64_t answer_to(const Caller& caller, const policy::Control& message);
  // Whether it is answered later, for a child made by vfork is gone in a moment.
  bool postpone(const seccomp_notif& notification);
  void handle_postponed();
  void handle_hello(const seccomp_notif& notification, Caller& caller);
  void handle_call(const seccomp_notif& notification, const policy::MmCall& call);
  // A fresh image is about to run, and the library is required.
  void handle_start(const seccomp_notif& notification);
  // A blocked entry point that only an audit leaves open.
  void handle_entry_point(const seccomp_notif& notification);
  // What can't be recorded is counted; the verdict stands.
  void record(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call) noexcept;
  void refuse(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call,
              const policy::Verdict& verdict);
  void make_image(Caller& caller);

  Listener& listener_;
  Registry& registry_;
  const PolicyLevels& policies_;
  policy::TreeRules rules_;
  ContinuedCalls calls_;
  Sealing sealing_;
  EventLog events_;
  std::vector<Postponed> postponed_;
  bool tidying_ = false;  // threads are to be let go of
  // The largest huge page that a process of the tree may have, where that matters (verdict.h).
  std::uint64_t huge_page_ = 0;
};

}  // namespace libmseal::supervisor
