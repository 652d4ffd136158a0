// mseal as the supervisor hears it: what the library says by it (control.h), and the call itself.
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <optional>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_rules.h"
#include "policy/protocol/control.h"
#include "shim/supervisor/event_log.h"
#include "shim/supervisor/listener.h"
#include "shim/supervisor/own_sealing.h"
#include "shim/supervisor/policy_levels.h"
#include "shim/supervisor/registry.h"
#include "shim/supervisor/sealer.h"
#include "shim/supervisor/supervised_sealing.h"

namespace libmseal::supervisor {

class ControlChannel {
 public:
  ControlChannel(Listener& listener, Proc& proc, Registry& registry, const PolicyLevels& policies,
                 ThreadHolder& holder, Sealer& sealer, EventLog& events, const policy::Options& options)
      : listener_(listener),
        proc_(proc),
        registry_(registry),
        policies_(policies),
        sealer_(sealer),
        supervised_(proc, registry, holder, sealer),
        own_(registry, sealer),
        events_(events),
        covers_all_(policy::tree_rules(options).covers_all),
        discard_(options.discard) {}

  struct Said {
    bool answered = false;
    std::optional<policy::Control> message;  // nothing: mseal itself
    policy::Arguments arguments{};
  };
  // Reads it, and answers what does not depend on who calls. `native`: by the machine's own ABI.
  Said read(const seccomp_notif& notification, const policy::Arguments& arguments, bool native);
  void handle(const seccomp_notif& notification, Caller& caller, const Said& said);

  // Calls that wait until nobody shares the memory any more. Each is to be handled again; one that is not
  // answered then waits on.
  [[nodiscard]] std::vector<seccomp_notif> postponed() const;
  void forget_answered();
  // Lets go of threads.
  void tidy() noexcept { tidying_ = supervised_.tidy(); }
  [[nodiscard]] bool holds_threads() const { return supervised_.holds_threads(); }
  // Whether threads are still to be let go of, or calls wait.
  [[nodiscard]] bool busy() const { return !postponed_.empty() || tidying_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Postponed {
    seccomp_notif notification;
    Clock::time_point until;
    int tries = 1;
  };

  // The answer, if it is the same for every caller: nobody has sealed what is asked about, or refusals are
  // only counted.
  [[nodiscard]] std::optional<std::int64_t> answer_without_look(const seccomp_notif& notification,
                                                                const policy::Control& message);
  // mseal by a raw system call, which is the supervisor's business under coverage all.
  void handle_raw(const seccomp_notif& notification, Caller& caller, const policy::Arguments& arguments);
  void handle_hello(const seccomp_notif& notification, Caller& caller);
  void handle_message(const seccomp_notif& notification, Caller& caller, const policy::Control& message);
  void refuse(const seccomp_notif& notification, int error);
  // What the message is answered: a value or -errno.
  std::int64_t answer_to(const Caller& caller, const policy::Control& message);
  void respond(const seccomp_notif& notification, std::int64_t answer);
  void make_image(Caller& caller);
  // Postpones the seal if other notifications wait. A seal stops threads, and a stopped thread notifies once
  // more, behind all others: where another one seals in a loop, it would never be answered.
  bool gives_way(const seccomp_notif& notification);
  // Whether it is answered later: a child made by vfork is gone in a moment.
  bool postpone(const seccomp_notif& notification);

  Listener& listener_;
  Proc& proc_;
  Registry& registry_;
  const PolicyLevels& policies_;
  Sealer& sealer_;
  SupervisedSealing supervised_;
  OwnSealing own_;
  EventLog& events_;
  bool covers_all_;
  policy::DiscardRule discard_;
  std::vector<Postponed> postponed_;
  bool tidying_ = false;  // threads are to be let go of
};

}  // namespace libmseal::supervisor
