// Takes one notification after the other, identifies the caller, and passes both on: to the verdict
// (judge.h), to the handling of messages (control_channel.h), and to the record of refusals (audit.h).
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <optional>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/rules/abi.h"
#include "policy/rules/mm_call.h"
#include "shim/common/machine.h"
#include "shim/supervisor/control_channel.h"
#include "shim/supervisor/events/audit.h"
#include "shim/supervisor/events/event_log.h"
#include "shim/supervisor/judge.h"
#include "shim/supervisor/listeners/listener.h"
#include "shim/supervisor/policy_files.h"
#include "shim/supervisor/processes/kernel_sizes.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/registry.h"
#include "shim/supervisor/sealing/aio_rings.h"
#include "shim/supervisor/sealing/continued_calls.h"
#include "shim/supervisor/sealing/sealer.h"
#include "shim/supervisor/sealing/thread_holder.h"

namespace libmseal::supervisor {

class Dispatcher {
 public:
  // `older`: see aio_rings.h; `watched`: the ranges in which the first filter notifies of every call.
  Dispatcher(Listener& listener, Proc& proc, Registry& registry, const PolicyFiles& policies,
             const KernelSizes& sizes, pid_t older, std::vector<policy::Range> watched,
             const policy::Options& options);

  // Always answers. On an internal failure, the call is refused.
  void handle(const seccomp_notif& notification) noexcept;
  // Does deferred work. To be called when no notification waits.
  void idle() noexcept;
  // To be called after each notification: does deferred work that can't wait until idle().
  void catch_up_if_due() noexcept;
  // After how many ms without a notification idle() is to be called; -1: never.
  [[nodiscard]] int patience() const;
  // Whether this process has stopped threads. They are resumed when it ends.
  [[nodiscard]] bool holds_threads() const {
    return control_.holds_threads() || aio_rings_.busy() || holder_.has_some_to_let_go();
  }
  [[nodiscard]] int events_error() const { return events_.error(); }

 private:
  using Clock = std::chrono::steady_clock;

  void answer(const seccomp_notif& notification) noexcept;
  // Handles calls and threads that have waited for time to pass.
  void catch_up();
  [[nodiscard]] int patience_while_busy() const;
  void dispatch(const seccomp_notif& notification);
  [[nodiscard]] bool note_lineage(const seccomp_notif& notification, const policy::Abi& abi,
                                  const policy::Arguments& arguments);
  [[nodiscard]] bool gives_way(pid_t task, const policy::MmCall& call) const;
  void handle_call(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call);
  void let_through(const seccomp_notif& notification, const policy::MmCall& call);
  void refuse(const seccomp_notif& notification, const Caller& caller, const policy::MmCall& call,
              const policy::Verdict& verdict);
  // A new image is about to run, and the library is required.
  void handle_start(const seccomp_notif& notification, const Caller& caller);

  Listener& listener_;
  Proc& proc_;
  Registry& registry_;
  policy::Machine machine_ = shim::this_machine();
  policy::TreeOptions tree_options_;
  ThreadHolder holder_;
  ContinuedCalls calls_;
  Sealer sealer_;
  AioRings aio_rings_;
  EventLog events_;
  Audit audit_;
  ControlChannel control_;
  Judge judge_;
  std::optional<Clock::time_point> due_;  // catch_up(), if anything waits for it
};

}  // namespace libmseal::supervisor
