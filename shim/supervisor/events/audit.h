// Records refusals and, in an audit, calls that would be refused.
#pragma once

#include <linux/seccomp.h>

#include "policy/configuration/tree_options.h"
#include "policy/rules/mm_call.h"
#include "shim/supervisor/events/event_log.h"
#include "shim/supervisor/registry/registry.h"

namespace libmseal::supervisor {

// If a call can't be recorded, it is counted; the verdict does not change.
class Audit {
 public:
  Audit(Proc& proc, EventLog& events, const policy::TreeOptions& tree_options)
      : proc_(proc), events_(events), tree_options_(tree_options) {}

  // A call that is, or would be, refused because of a seal.
  void record(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call) noexcept;
  // A blocked call, which only an audit allows.
  void record_blocked_call(const seccomp_notif& notification, Registry& registry) noexcept;

 private:
  Proc& proc_;
  EventLog& events_;
  policy::TreeOptions tree_options_;
};

// In an audit the call does change the memory, which then counts as no longer sealed: otherwise all later
// calls there would be reported.
void drop_seals(const Caller& caller, const policy::MmCall& call);

}  // namespace libmseal::supervisor
