// What is recorded of refusals, and of what an audit lets through.
#pragma once

#include <linux/seccomp.h>

#include "policy/configuration/tree_rules.h"
#include "policy/rules/mm_call.h"
#include "shim/supervisor/event_log.h"
#include "shim/supervisor/registry.h"

namespace libmseal::supervisor {

// What can't be recorded is counted; the verdict stands.
class Audit {
 public:
  Audit(Proc& proc, EventLog& events, const policy::TreeRules& rules)
      : proc_(proc), events_(events), rules_(rules) {}

  // A refusal, or what would be one.
  void record(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call) noexcept;
  // A blocked call, which only an audit leaves open.
  void record_blocked_call(const seccomp_notif& notification, Registry& registry) noexcept;

 private:
  Proc& proc_;
  EventLog& events_;
  policy::TreeRules rules_;
};

// An audit lets the call change the memory, so that is no longer sealed: otherwise all later calls there
// would be reported.
void drop_seals(const Caller& caller, const policy::MmCall& call);

}  // namespace libmseal::supervisor
