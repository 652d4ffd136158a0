// The kernel's notification descriptor.
#pragma once

#include <linux/seccomp.h>

#include <chrono>
#include <cstdint>

namespace libmseal::supervisor {

class Listener {
 public:
  explicit Listener(int descriptor);

  enum class Event : std::uint8_t { notification, nothing, hang_up, broken };

  // 0, or the errno of a call that a listener needs and a seccomp filter refuses.
  static int find_refused_call();

  // Waits at most `timeout_ms` for the next notification. hang_up: no process with the filter is left.
  // broken: notifications can't be received, see errno.
  Event next(seccomp_notif& notification, int timeout_ms = -1);
  // Whether another one waits.
  [[nodiscard]] bool has_next() const;
  // Whether the notifying call is still waiting. If so, everything read so far by its PID was about the right
  // process.
  [[nodiscard]] bool still_waits(std::uint64_t id) const;

  void continue_call(std::uint64_t id) { respond({id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE}); }
  void answer(std::uint64_t id, std::int64_t value) { respond({id, value, 0, 0}); }
  void refuse(std::uint64_t id, int error) { respond({id, 0, -error, 0}); }
  // Puts a copy of `file` (close-on-exec) into the notifying process; its number there is the answer. False,
  // without an answer, if that process can have no more descriptors.
  [[nodiscard]] bool answer_with_descriptor(std::uint64_t id, int file);

  // Stops the timer of a burst. To be called before anything that a signal must not interrupt.
  void end_burst();
  // After a fork: timers are not inherited.
  void forget_timer() { in_burst_ = false; }

 private:
  using Clock = std::chrono::steady_clock;

  void respond(seccomp_notif_resp response) const;
  int ioctl_whole(unsigned long request, void* argument) const;
  [[nodiscard]] bool receive(seccomp_notif& notification) const;
  [[nodiscard]] Event failed();
  void begin_burst();

  int descriptor_;
  int quick_ = 0;          // the number of notifications without a pause
  int failures_ = 0;       // in a row
  bool in_burst_ = false;  // they are received without poll(), and the timer runs
};

}  // namespace libmseal::supervisor
