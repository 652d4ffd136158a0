// Decides one notification after the other.
#pragma once

#include <linux/seccomp.h>

#include <vector>

#include "policy/control.h"
#include "policy/options.h"
#include "policy/tree_rules.h"
#include "policy/verdict.h"
#include "shim/supervisor/calls_let_through.h"
#include "shim/supervisor/event_log.h"
#include "shim/supervisor/listener.h"
#include "shim/supervisor/policy_levels.h"
#include "shim/supervisor/registry.h"

namespace libmseal::supervisor {

class Judge {
 public:
  // `watched`: the ranges in which the first filter notifies of every call.
  Judge(Listener& listener, Registry& registry, const PolicyLevels& policies,
        std::vector<policy::Range> watched, const policy::Options& options);

  // Answers it, whatever happens: what fails refuses the call.
  void handle(const seccomp_notif& notification) noexcept;
  // There is nothing to do for a moment.
  void idle() noexcept;
  [[nodiscard]] int events_error() const { return events_.error(); }
  [[nodiscard]] bool has_work_for_later() const { return events_.waiting(); }

 private:
  void decide_about(const seccomp_notif& notification);
  void handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native);
  // mseal by a raw system call, which is the supervisor's business under coverage all.
  void handle_raw_mseal(const seccomp_notif& notification, const policy::Arguments& arguments);
  void handle_control(const seccomp_notif& notification, const policy::Control& message);
  void handle_hello(const seccomp_notif& notification, Caller& caller);
  void handle_call(const seccomp_notif& notification, const policy::MmCall& call);
  // A blocked entry point that only an audit leaves open.
  void handle_entry_point(const seccomp_notif& notification);
  // What can't be recorded is counted; the verdict stands.
  void record(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call) noexcept;
  void refuse(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call,
              const policy::Verdict& verdict);
  void make_image(Caller& caller);
  // What the message is answered: a value or -errno.
  std::int64_t prepare(const Caller& caller, const policy::Range& range);
  std::int64_t add(const Caller& caller, const policy::Control& message);
  [[nodiscard]] bool is_watched(const policy::Range& range) const;

  Listener& listener_;
  Registry& registry_;
  const PolicyLevels& policies_;
  std::vector<policy::Range> watched_;
  policy::Options options_;
  policy::TreeRules rules_;
  CallsLetThrough calls_;
  EventLog events_;
  // The largest huge page that a process of the tree may have, where that matters (verdict.h).
  std::uint64_t huge_page_ = 0;
};

}  // namespace libmseal::supervisor
