// Takes one notification after the other, identifies the caller, and passes both on: to the verdict
// (judge.h), to the handling of messages (control_channel.h), and to the record of refusals (event_log.h).
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/rules/abi.h"
#include "policy/rules/mm_call.h"
#include "shim/common/machine.h"
#include "shim/supervisor/control_channel.h"
#include "shim/supervisor/events/event_log.h"
#include "shim/supervisor/judge.h"
#include "shim/supervisor/listeners/listener.h"
#include "shim/supervisor/policy_files.h"
#include "shim/supervisor/postponed_calls.h"
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
  // `early_process`: see aio_rings.h and judge.h; `watched`: the ranges in which the first filter notifies of
  // every call.
  Dispatcher(Listener& listener, Proc& proc, Registry& registry, const PolicyFiles& policies,
             const KernelSizes& sizes, pid_t early_process, std::vector<policy::Range> watched,
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

  // A notification, decoded.
  struct Notification {
    const seccomp_notif& raw;
    const policy::Abi& abi;
    pid_t task;
    bool native;                  // made by the machine's own ABI
    std::uint32_t number;         // that of mseal if the message came as mmap
    policy::Arguments arguments;  // likewise
    policy::MmCall call;
  };

  [[nodiscard]] Notification decode(const seccomp_notif& raw, const policy::Abi& abi) const;
  void answer(const seccomp_notif& notification) noexcept;
  // Handles calls and threads that have waited for time to pass.
  void catch_up();
  [[nodiscard]] int patience_while_busy() const;
  void dispatch(const seccomp_notif& raw);
  // A call that changes the parents in /proc (parent_changes.h).
  void handle_lineage(const Notification& notification);
  // A message of the library, or mseal itself.
  void handle_mseal(const Notification& notification);
  // Any other call that can change mappings.
  void handle_memory_call(const Notification& notification);
  // A new image is about to run, and the library is required.
  void handle_start(const Notification& notification);
  // What is left: only an audit is notified of it.
  void handle_blocked_call(const Notification& notification);
  // Nothing if the call does not wait any more.
  [[nodiscard]] std::optional<Caller> identify_caller(const Notification& notification);
  void begin_to_inspect(pid_t task);
  [[nodiscard]] bool must_wait(const Notification& notification) const;
  void decide(const Notification& notification, const Caller& caller);
  void let_through(const Notification& notification);
  void refuse(const Notification& notification, const Caller& caller, policy::Verdict verdict);

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
  PostponedCalls postponed_;
  ControlChannel control_;
  Judge judge_;
  std::optional<Clock::time_point> due_;  // catch_up(), if anything waits for it
};

}  // namespace libmseal::supervisor
