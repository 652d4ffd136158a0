// Answers notifications of mseal: the library's messages (control.h), and the call itself.
#pragma once

#include <linux/seccomp.h>

#include <memory>
#include <optional>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/protocol/control.h"
#include "shim/supervisor/events/event_log.h"
#include "shim/supervisor/listeners/listener.h"
#include "shim/supervisor/policy_files.h"
#include "shim/supervisor/postponed_calls.h"
#include "shim/supervisor/registry/registry.h"
#include "shim/supervisor/sealing/inspected_requests.h"
#include "shim/supervisor/sealing/reported_requests.h"
#include "shim/supervisor/sealing/sealer.h"

namespace libmseal::supervisor {

class ControlChannel {
 public:
  ControlChannel(Listener& listener, Proc& proc, Registry& registry, const PolicyFiles& policies,
                 PostponedCalls& postponed, ThreadHolder& holder, Sealer& sealer, EventLog& events,
                 const policy::Options& options)
      : listener_(listener),
        proc_(proc),
        registry_(registry),
        policies_(policies),
        postponed_(postponed),
        sealer_(sealer),
        inspected_(proc, registry, holder, sealer),
        reported_(proc, registry, sealer),
        events_(events),
        covers_all_(policy::tree_options(options).covers_all),
        discard_(options.discard) {}

  struct ReceivedCall {
    bool answered = false;
    std::optional<policy::Control> message;  // nothing: it is mseal itself
  };
  // Decodes the call, and answers it if the answer does not depend on the caller. `native`: made by the
  // machine's own ABI.
  ReceivedCall receive(const seccomp_notif& notification, const policy::Arguments& arguments, bool native);
  void handle(const seccomp_notif& notification, const policy::Arguments& arguments, Caller& caller,
              const ReceivedCall& received);

  // Resumes threads.
  void tidy() noexcept { tidying_ = inspected_.tidy(); }
  [[nodiscard]] bool holds_threads() const { return inspected_.holds_threads(); }
  // Creates a table for the next program, if one has joined since. To be called when no call waits for it.
  void make_spare_table() noexcept;
  // Whether threads are still to be resumed.
  [[nodiscard]] bool busy() const { return tidying_; }

 private:
  // The answer if it is the same for every caller: the message is about memory that no process has sealed, or
  // refusals are only counted.
  [[nodiscard]] std::optional<std::int64_t> answer_without_caller(const seccomp_notif& notification,
                                                                  const policy::Control& message);
  // mseal by a raw system call, which the supervisor serves under coverage=all.
  void handle_raw(const seccomp_notif& notification, Caller& caller, const policy::Arguments& arguments);
  void handle_join(const seccomp_notif& notification, Caller& caller);
  void handle_message(const seccomp_notif& notification, Caller& caller, const policy::Control& message);
  void refuse(const seccomp_notif& notification, int error);
  // The answer to the message: a value or -errno.
  std::int64_t answer_to(const Caller& caller, const policy::Control& message);
  // False if the answer has not arrived (Listener::deliver).
  bool respond(const seccomp_notif& notification, std::int64_t answer);
  void resume_threads();
  void make_image(Caller& caller);
  // Forgets ended processes if there is no room. 0 or an errno.
  int try_to_make_image(Caller& caller);
  // Postpones the seal if other notifications wait. A seal stops threads, and the call of a stopped thread is
  // notified again, after all others: if another thread seals in a loop, it would never be answered.
  bool gives_way(const seccomp_notif& notification);

  Listener& listener_;
  Proc& proc_;
  Registry& registry_;
  const PolicyFiles& policies_;
  PostponedCalls& postponed_;
  Sealer& sealer_;
  InspectedRequests inspected_;
  ReportedRequests reported_;
  EventLog& events_;
  bool covers_all_;
  policy::DiscardRule discard_;
  std::unique_ptr<TableFile> spare_table_;
  bool has_joined_ = false;  // a program, since the last spare table was created
  bool tidying_ = false;     // threads are to be resumed
};

}  // namespace libmseal::supervisor
