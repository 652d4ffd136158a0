// Notifications by ptrace (SECCOMP_RET_TRACE), for audits where the kernel admits no listener of ours because
// there is another one. All processes of the tree are traced, so no debugger can attach to them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "shim/supervisor/listeners/listener.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

class PtraceListener final : public Listener {
 public:
  // Traces all threads of the process, and what they create from now on. Null, with errno set, if one may not
  // be traced; then none is traced.
  static std::unique_ptr<PtraceListener> attach(Proc& proc, pid_t process);

  Received next(seccomp_notif& notification, int timeout_ms) override;
  [[nodiscard]] bool has_next() const override;
  [[nodiscard]] bool still_waits(std::uint64_t id) const override;
  void continue_call(std::uint64_t id) override;
  bool deliver(std::uint64_t id, std::int64_t value) override;
  // ptrace can't put a descriptor into a process. So the answer says where the process can open the file.
  [[nodiscard]] bool answer_with_table(std::uint64_t id, int file) override;
  // Only the process that attached is the tracer.
  [[nodiscard]] bool survives_fork() const override { return false; }

 private:
  // False if no task is left.
  bool take_reports();
  // Handles a change of state. True if the task now waits for an answer.
  bool note(pid_t task, int status, seccomp_notif& notification);
  bool describe(pid_t task, seccomp_notif& notification);
  [[nodiscard]] pid_t task_of(std::uint64_t id) const;

  std::map<pid_t, std::uint64_t> waiting_;  // the notification of each task that waits for an answer
  std::deque<seccomp_notif> reported_;      // of these: not passed on yet
  std::uint64_t last_id_ = 0;
};

}  // namespace libmseal::supervisor
