#include "shim/supervisor/sealing/aio_rings.h"

#include <sys/types.h>

#include <algorithm>

#include "policy/rules/seal.h"
#include "shim/common/killed_calls.h"
#include "shim/common/machine.h"

namespace libmseal::supervisor {
namespace {

// Do not stop the call's thread earlier: a stop before the call has begun restarts it.
constexpr auto kToReturn = std::chrono::milliseconds(5);

// The size of the ring that the kernel creates (fs/aio.c, ioctx_alloc and aio_setup_ring): a header and twice
// the number of events, of 32 bytes each. 0: none. The kernel computes the number in 32 bits.
std::uint64_t ring_bytes(std::uint32_t events, std::uint32_t processors) {
  constexpr std::uint64_t kEvent = 32;
  constexpr std::uint64_t kMostBytes = 0x1000'0000;
  const std::uint32_t places = 2 * std::max(events, 4 * processors);
  if (places > kMostBytes / kEvent) return 0;
  return policy::round_up(kEvent + kEvent * (places + 2), shim::this_machine().page_size);
}

}  // namespace

AioRings::AioRings(Proc& proc, Registry& registry, ThreadHolder& holder, pid_t early_process,
                   std::uint64_t processors)
    : proc_(proc),
      registry_(registry),
      holder_(holder),
      has_early_process_(early_process != 0),
      processors_(processors) {
  if (!has_early_process_) return;
  if (const auto stat = proc_.stat(early_process); stat.is_seen()) early_memory_ = MmIdentity::of(*stat);
}

void AioRings::note_request(const policy::MmCall& io_setup) {
  const auto events = static_cast<std::uint32_t>(io_setup.argument);
  largest_ = std::max(largest_, ring_bytes(events, static_cast<std::uint32_t>(processors_)));
}

bool AioRings::is_harmless(const Caller& caller, const policy::MmCall& call) const {
  if (!caller.may_seal()) return false;
  if (call.call == policy::Call::io_setup) return true;
  const policy::Range reach{call.argument, call.argument + largest_};
  // If the memory of the late process is not known, it may be the caller's.
  const bool may_be_early =
      has_early_process_ && (!early_memory_.readable() || caller.identity == early_memory_);
  return !may_be_early && reach.start <= reach.end && !policy::touches_seal(caller.record->seals(), reach);
}

template <class Condition>
void AioRings::end_calls_if(const Condition& condition) {
  std::erase_if(calls_, condition);
  (void)holder_.let_go();
}

void AioRings::end_calls_of(pid_t task) {
  end_calls_if([task](const CallUnderWay& one) { return one.task == task; });
}

AioRings::Begun AioRings::begin(const Caller& caller) {
  busy_ = true;
  end_calls_of(caller.task);
  HeldThreads others(holder_);
  const auto result = caller.only_thread ? ThreadHolder::Result::held
                                         : holder_.hold({&caller.process.id, 1}, caller.task, others);
  if (result == ThreadHolder::Result::forbidden) return Begun::never;
  // While they are stopped, nobody else can come to have the memory. Whoever does so later has the filters.
  const auto sharing =
      result == ThreadHolder::Result::held ? registry_.register_sharers(caller) : shim::Sharing::shared;
  others.release();
  if (sharing == shim::Sharing::unknown) return Begun::perhaps_later;
  if (sharing == shim::Sharing::shared) return Begun::later;
  if (!caller.only_thread) calls_.emplace_back(holder_, caller);
  return Begun::yes;
}

bool AioRings::must_wait(pid_t task, const policy::MmCall& call) const {
  return call.call == policy::Call::mremap && std::ranges::any_of(calls_, [task](const CallUnderWay& one) {
           return shim::compare_memory(task, one.task) <= 0;  // the same, or not known
         });
}

// If io_destroy's ring is no longer mapped, that does not show that the call is over: another thread may have
// unmapped the first page, and may move what is left.
bool AioRings::is_over(CallUnderWay& one) {
  // The longer the call takes, the rarer the checks: attaching to its thread may take long, too (seize.h).
  const auto now = Clock::now();
  if (now < one.next_look) return false;
  one.next_look = now + (now - one.since) / 4;
  if (now - one.since < kToReturn) return holder_.is_asleep_elsewhere(one.task);
  return holder_.has_left_call(one.task, one.own);
}

bool AioRings::tidy() {
  end_calls_if([this](CallUnderWay& one) { return is_over(one); });
  busy_ = holder_.let_go() || !calls_.empty();
  return busy_;
}

}  // namespace libmseal::supervisor
