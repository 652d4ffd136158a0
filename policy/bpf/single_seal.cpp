#include "policy/bpf/single_seal.h"

#include "policy/bpf/call_fields.h"
#include "policy/bpf/number_search.h"
#include "policy/rules/mm_call.h"

namespace libmseal::policy {
namespace {

using Label = BpfProgram::Label;

// Refuses a call that has the upper word of the range, starts below its end, and ends above both starts: then
// it is not empty and does not cross a multiple of 4 GiB.
Label write_touches(const Machine& machine, const Range& range, Label other, BpfProgram& out) {
  const Label hit = out.ret(kActionRefuse);
  out.branch(BPF_JSET, low(machine.page_size - 1), other, hit);
  const Label after_own_start = out.copy_from_x();
  const Label after_start = out.branch_x(BPF_JGT, after_own_start, other);
  out.branch(BPF_JGT, low(range.start), after_start, other);
  out.add_x();
  out.load(low_of(1));
  const Label below_end = out.copy_to_x();
  out.branch(BPF_JGT, low(range.end - 1), other, below_end);
  const Label under_word = out.load(low_of(0));
  out.branch(BPF_JEQ, high(range.start), under_word, other);
  if (high(machine.address_mask) != ~0U) out.mask(high(machine.address_mask));
  return out.load(high_of(0));
}

}  // namespace

bool is_single_seal(const RangeProgram& what) {
  const DeniedRanges& denied = what.denied;
  if (denied.ranges.size() != 1 || denied.contents.size() > 1 || !denied.breaks.empty()) return false;
  if (what.is_first() || what.delegated != RangeProgram::DelegatedCalls::left_to_first_filter) return false;
  const Range& range = denied.ranges[0];
  return range.start >= Abi::kShortReach && high(range.start) == high(range.end - 1) &&
         (denied.contents.empty() || denied.contents[0] == range);
}

void write_single_seal(const Machine& machine, const DeniedRanges& denied, Label other, BpfProgram& out) {
  const Label touches = write_touches(machine, denied.ranges[0], other, out);
  Label advise = other;
  if (!denied.contents.empty()) {
    for (const std::uint32_t advice : kEverydayAdvice) advise = out.branch(BPF_JEQ, advice, touches, advise);
    advise = out.load(low_of(2));
  }
  out.branch(BPF_JEQ, kMapFixed, touches, other);
  out.mask(kMapFixed | kMapFixedNoreplace);
  const Label map = out.load(low_of(3));
  const auto handler = [&](Call call) {
    switch (call) {
      case Call::mmap:
        return map;
      case Call::madvise:
        return advise;
      case Call::mprotect:
        return denied.protection ? touches : other;
      case Call::munmap:
      case Call::mremap:
        return touches;
      default:
        return other;
    }
  };
  NumberHandlers handlers;
  for (const CallNumber& entry : machine.abis[0].calls) {
    if (const Label label = handler(entry.call); label != other)
      (void)handlers.push_back({entry.number, label});
  }
  out.jump(search_number(handlers.view(), other, other, out));
  out.load(kNumberField);
}

}  // namespace libmseal::policy
