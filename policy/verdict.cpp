#include "policy/verdict.h"

namespace libmseal::policy {
namespace {

Verdict decide_modify(const MmCall& call, std::span<const Seal> seals) {
  if (call.hidden != MmCall::Hidden::none && call.ranges[0].empty()) return kRefuse;
  for (const Range& range : call.ranges) {
    if (!touches_seal(seals, range)) continue;
    if (call.call == Call::shmdt) return {Verdict::Kind::answer, 0};
    return kRefuse;
  }
  return kAllow;
}

}  // namespace

Range refused_breaks(std::span<const Seal> seals, const Range& heap, std::uint64_t page_size) {
  Range refused{heap.start, heap.start};
  for_each_sealed_part(seals, heap, [&](const Range& part, const Seal&) {
    refused.end =
        round_up(part.end, page_size) - page_size + 1;  // the break itself is rounded up by the kernel
    return true;
  });
  return refused;
}

Verdict decide(const MmCall& call, std::span<const Seal> seals, const Range& refused_breaks) {
  switch (call.effect) {
    case MmCall::Effect::modify:
      return decide_modify(call, seals);
    case MmCall::Effect::discard:
      return touches_kept_contents(seals, call.ranges[0]) ? kRefuse : kAllow;
    case MmCall::Effect::lower_break:
      return refused_breaks.contains(call.argument) ? Verdict{Verdict::Kind::answer, 0} : kAllow;
    case MmCall::Effect::none:
    case MmCall::Effect::share_memory:
    case MmCall::Effect::seal:
      break;
  }
  return kAllow;
}

}  // namespace libmseal::policy
