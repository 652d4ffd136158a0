// The kernel's notification descriptor (SECCOMP_RET_USER_NOTIF).
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <cstdint>

#include "shim/supervisor/listeners/listener.h"

namespace libmseal::supervisor {

class SeccompListener final : public Listener {
 public:
  explicit SeccompListener(int descriptor);

  // 0, or the errno of a call that a listener needs and a seccomp filter refuses.
  static int find_refused_call();

  Received next(seccomp_notif& notification, int timeout_ms) override;
  [[nodiscard]] bool has_next() const override;
  [[nodiscard]] bool still_waits(std::uint64_t id) const override;
  void continue_call(std::uint64_t id) override {
    (void)respond({id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE});
  }
  bool deliver(std::uint64_t id, std::int64_t value) override;
  // Puts a copy of the file (close-on-exec) into the process; its number there is the answer.
  [[nodiscard]] bool answer_with_table(std::uint64_t id, int file) override;
  void stop_signals() override { end_burst(); }
  [[nodiscard]] bool survives_fork() const override { return true; }
  void after_fork() override { in_burst_ = false; }  // timers are not inherited

 private:
  using Clock = std::chrono::steady_clock;

  bool respond(seccomp_notif_resp response) const;
  int ioctl_whole(unsigned long request, void* argument) const;
  [[nodiscard]] bool receive(seccomp_notif& notification) const;
  [[nodiscard]] Received after_failure();
  void begin_burst();
  void end_burst();

  int descriptor_;
  int quick_ = 0;          // the number of notifications without a pause
  int failures_ = 0;       // in a row
  bool in_burst_ = false;  // they are received without poll(), and the timer runs
};

}  // namespace libmseal::supervisor
