// Where notifications of system calls come from: the kernel's listener (seccomp_listener.h), or ptrace
// (ptrace_listener.h).
#pragma once

#include <linux/seccomp.h>

#include <cstdint>

#include "shim/common/no_copy.h"

namespace libmseal::supervisor {

class Listener : shim::NoCopy {
 public:
  virtual ~Listener() = default;

  enum class Received : std::uint8_t { notification, nothing, hang_up, broken };

  // Waits at most `timeout_ms` for the next notification; -1: without a limit. hang_up: no process with the
  // filter is left. broken: notifications can't be received, see errno.
  virtual Received next(seccomp_notif& notification, int timeout_ms) = 0;
  // Whether another one waits.
  [[nodiscard]] virtual bool has_next() const = 0;
  // Whether the notifying call is still waiting. If so, everything read so far by its PID was about the right
  // process.
  [[nodiscard]] virtual bool still_waits(std::uint64_t id) const = 0;

  virtual void continue_call(std::uint64_t id) = 0;
  // False if the call does not wait any more: the process has ended, or a signal has interrupted the call,
  // which is then repeated. (Before Linux 5.19 any signal does that.)
  virtual bool deliver(std::uint64_t id, std::int64_t value) = 0;
  void answer(std::uint64_t id, std::int64_t value) { (void)deliver(id, value); }
  void refuse(std::uint64_t id, int error) { answer(id, -error); }
  // Gives the notifying process a seal table, as the answer to `join` (control.h). False, without an answer,
  // if that process can have no more descriptors.
  [[nodiscard]] virtual bool answer_with_table(std::uint64_t id, int file) = 0;

  // Until the next call of next(), no signal of this listener interrupts the process.
  virtual void stop_signals() {}
  // Whether a fork of this process can go on in its place.
  [[nodiscard]] virtual bool survives_fork() const = 0;
  // To be called in such a fork.
  virtual void after_fork() {}
};

}  // namespace libmseal::supervisor
