#include "policy/rules/verdict.h"

#include <algorithm>

namespace libmseal::policy {
namespace {

// With PROT_GROWSDOWN the kernel starts at the beginning of the mapping that contains the range, if that is a
// stack. Another thread could change that mapping before the kernel looks, but it can't move the sealed stack
// below. So any such seal below the range counts.
bool reaches_down_to_seal(const MmCall& call, std::span<const Seal> seals) {
  return call.grows_down && std::any_of(seals.begin(), seals.end(), [&](const Seal& seal) {
           return seal.may_grow_down && seal.has(kProtectionType) && seal.range.start < call.ranges[0].end;
         });
}

Verdict decide_modify(const MmCall& call, const SealedMemory& memory) {
  const std::span<const Seal> seals = memory.seals;
  const SealTypes type = call.call == Call::mprotect ? kProtectionType : kBaseType;
  for (const Range& range : call.ranges) {
    if (touches_seal(seals, range, [type](const Seal& seal) { return seal.has(type); }))
      return Verdict::refuse;
  }
  if (reaches_down_to_seal(call, seals)) return Verdict::refuse;
  if (!touches_seal(seals, call.if_huge)) return Verdict::allow;
  if (call.call == Call::mmap) return Verdict::depends_on_file;
  const Range huge{call.if_huge.start, round_up(call.if_huge.start, memory.huge_page)};
  const Range reach = intersection(huge, call.if_huge);
  // A file on hugetlbfs can be mapped without MAP_HUGETLB.
  return memory.huge_page != 0 && touches_seal(seals, reach) ? Verdict::refuse : Verdict::depends_on_source;
}

}  // namespace

Range refused_breaks(std::span<const Seal> seals, std::uint64_t floor, std::uint64_t present,
                     std::uint64_t page_size) {
  Range refused{};
  for (const Seal& seal : seals) {
    const Range below = intersection(seal.range, {floor, present});
    if (below.empty()) continue;
    // The break itself is rounded up by the kernel.
    const std::uint64_t end = round_up(below.end, page_size) - page_size + 1;
    if (end > floor && end > refused.end) refused = {floor, end};
  }
  return refused;
}

Verdict decide(const MmCall& call, const SealedMemory& memory) {
  switch (call.effect) {
    case MmCall::Effect::modify:
      return decide_modify(call, memory);
    case MmCall::Effect::discard:
      return touches_protected_contents(memory.seals, call.ranges[0]) ? Verdict::refuse : Verdict::allow;
    case MmCall::Effect::detach: {
      const bool sealed = std::any_of(memory.seals.begin(), memory.seals.end(), [&](const Seal& seal) {
        return seal.may_be_attached_at(call.argument);
      });
      return sealed ? Verdict::answer_zero : Verdict::allow;
    }
    case MmCall::Effect::unjudgeable:
      return memory.seals.empty() ? Verdict::allow : Verdict::refuse;
    case MmCall::Effect::none:
    case MmCall::Effect::seal:
      break;
  }
  return Verdict::allow;
}

}  // namespace libmseal::policy
