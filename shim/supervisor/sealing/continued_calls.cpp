#include "shim/supervisor/sealing/continued_calls.h"

#include <cstdint>
#include <optional>

#include "shim/common/clock.h"

namespace libmseal::supervisor {
namespace {

// A thread that may not be stopped (Yama, a debugger) has left its call once it is seen asleep in another
// one, or has run this long in user mode. In ticks, of which one may be wrong; see in_flight_calls.cpp.
constexpr std::uint64_t kEnoughTicks = 3;
constexpr int kMostNaps = 4'000;
constexpr long kNap = 50'000;  // ns

}  // namespace

bool ContinuedCalls::wait_for_evidence(pid_t task) {
  std::optional<std::uint64_t> before;  // from the first reading that succeeds
  for (int naps = 0; naps < kMostNaps; ++naps) {
    const auto where = proc_.whereabouts(task);
    if (where.is_gone() || where.is(policy::Whereabouts::elsewhere)) return true;
    const auto now = proc_.stat(task);
    if (before && now.is_seen() && now->user_time >= *before + kEnoughTicks) return true;
    if (!before && now.is_seen()) before = now->user_time;
    shim::nap(kNap);
  }
  return false;
}

void ContinuedCalls::begun(pid_t task, const policy::MmCall& call) {
  calls_[task] = call;
}

bool ContinuedCalls::wait_for(const policy::Range& range, const std::function<bool(pid_t)>& concerned) {
  bool all = true;
  std::erase_if(calls_, [&](const auto& entry) {
    const auto& [task, call] = entry;
    // If the arguments do not show what the call touches, it may be anything.
    const bool visible =
        call.effect == policy::MmCall::Effect::modify || call.effect == policy::MmCall::Effect::discard;
    const bool touches = !visible || call.grows_down || call.ranges[0].touches(range) ||
                         call.ranges[1].touches(range) || call.if_huge.touches(range);
    if (!touches || !concerned(task)) return false;
    const bool over = holder_.take_out_of_call(task) || wait_for_evidence(task);
    all = all && over;
    return over;
  });
  return all;
}

void ContinuedCalls::forget_ended() {
  std::erase_if(calls_, [&](const auto& entry) { return proc_.whereabouts(entry.first).is_gone(); });
  forget_at_ = 2 * calls_.size() + kMany;
}

}  // namespace libmseal::supervisor
