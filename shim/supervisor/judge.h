// Decides one notification after the other.
#pragma once

#include <linux/seccomp.h>

#include <span>
#include <vector>

#include "policy/control.h"
#include "policy/options.h"
#include "policy/tree_rules.h"
#include "policy/verdict.h"
#include "shim/supervisor/calls_let_through.h"
#include "shim/supervisor/domain.h"
#include "shim/supervisor/event_log.h"
#include "shim/supervisor/listener.h"

namespace libmseal::supervisor {

class Judge {
 public:
  Judge(Listener& listener, Domains& domains, std::vector<policy::Range> hull, const policy::Options& options)
      : listener_(listener),
        domains_(domains),
        hull_(std::move(hull)),
        options_(options),
        rules_(policy::tree_rules(options)),
        events_(options) {}

  void handle(const seccomp_notif& notification);
  // There is nothing to do for a moment.
  void idle() { events_.flush(); }
  [[nodiscard]] int events_error() const { return events_.error(); }
  [[nodiscard]] bool has_work_for_later() const { return events_.waiting(); }

 private:
  void handle_mseal(const seccomp_notif& notification, const policy::Arguments& arguments, bool native);
  // mseal by a raw system call, which is the supervisor's business under coverage all.
  void handle_raw_mseal(const seccomp_notif& notification, const policy::Arguments& arguments);
  void handle_control(const seccomp_notif& notification, const policy::Control& message);
  void handle_hello(const seccomp_notif& notification, const Image& image);
  void handle_call(const seccomp_notif& notification, policy::MmCall call);
  // Puts a message's seal in force: 0 or -errno.
  std::int64_t add_seal(Domain& domain, const Process& process, const policy::Control& message);
  // A door that only an audit leaves open.
  void handle_door(const seccomp_notif& notification);
  void refuse(const seccomp_notif& notification, const Image& image, Domain& domain,
              const policy::MmCall& call, const policy::Verdict& verdict, std::uint64_t sealed_at);
  // The Way for a range, or -errno.
  std::int64_t way_for(Domain& domain, const Process& process, const policy::Range& range);
  // What a process of one owner has sealed for itself is refused by filters of its own, and not to others of
  // its domain; only where filters leave the call to us do those seals count for everybody.
  std::span<const policy::Seal> seals_for(const policy::MmCall& call, Domain& domain, const Process& process);
  [[nodiscard]] bool in_hull(const policy::Range& range) const;

  Listener& listener_;
  Domains& domains_;
  std::vector<policy::Range> hull_;
  policy::Options options_;
  policy::TreeRules rules_;
  CallsLetThrough calls_;
  EventLog events_;
  std::vector<policy::Seal> everybodys_;  // working memory of seals_for()
};

}  // namespace libmseal::supervisor
