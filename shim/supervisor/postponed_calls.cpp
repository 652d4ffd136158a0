#include "shim/supervisor/postponed_calls.h"

#include <algorithm>

namespace libmseal::supervisor {

bool PostponedCalls::add(const seccomp_notif& notification, std::chrono::seconds at_most) {
  constexpr int kFewest = 20;  // tries, however slow the machine is
  constexpr std::size_t kMost = 4096;
  const auto known =
      std::ranges::find_if(calls_, [&](const Call& one) { return one.notification.id == notification.id; });
  if (known != calls_.end()) {
    std::rotate(known, known + 1, calls_.end());
    Call& one = calls_.back();
    return ++one.tries <= kFewest || Clock::now() < one.since + at_most;
  }
  if (calls_.size() == kMost) return false;
  calls_.push_back({notification});
  return true;
}

bool PostponedCalls::contains(const seccomp_notif& notification) const {
  return std::ranges::any_of(calls_, [&](const Call& one) { return one.notification.id == notification.id; });
}

bool PostponedCalls::has_call_of(pid_t task) const {
  return std::ranges::any_of(calls_, [&](const Call& one) {
    return static_cast<pid_t>(one.notification.pid) == task && listener_.still_waits(one.notification.id);
  });
}

std::vector<seccomp_notif> PostponedCalls::all() const {
  std::vector<seccomp_notif> all;
  for (const Call& one : calls_) all.push_back(one.notification);
  return all;
}

void PostponedCalls::forget_answered() {
  std::erase_if(calls_, [&](const Call& one) { return !listener_.still_waits(one.notification.id); });
}

}  // namespace libmseal::supervisor
