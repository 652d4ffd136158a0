#include "policy/rules/mm_call.h"

#include <algorithm>

namespace libmseal::policy {
namespace {

using Effect = MmCall::Effect;

Range range_at(const Machine& machine, std::uint64_t address, std::uint64_t length) {
  const std::uint64_t start = address & machine.address_mask;
  if (start % machine.page_size != 0) return {};
  const Range range = Range::of(start, length);
  return range.empty() ? Range{} : range;
}

// Whether the end of the range has another upper word than its start.
bool is_wide(std::uint64_t address, std::uint64_t length) {
  constexpr std::uint64_t kWord = 1ULL << 32;
  return length >= kWord || address % kWord + length >= kWord;
}

// The range, rounded up as the kernel does for huge pages.
Range rounded_to_huge_pages(const Range& range, std::uint64_t page) {
  if (range.empty() || page == 0) return range;
  const std::uint64_t end = range.start + round_up(range.size(), page);
  return {range.start, end > range.start ? end : ~0ULL};
}

// The upper bits of the flags of mmap and shmget are the logarithm of a size.
std::uint64_t huge_page_in(std::uint32_t flags) {
  const std::uint32_t logarithm = flags >> 26;
  return logarithm == 0 ? 0 : 1ULL << logarithm;
}

void decode_mmap(const Machine& machine, const Arguments& arguments, MmCall& call) {
  const auto flags = static_cast<std::uint32_t>(arguments[3]);
  const bool hugetlb = (flags & kMapHugetlb) != 0;
  call.makes_huge_pages = call.delegated = hugetlb;
  if (hugetlb) call.huge_page = huge_page_in(flags);
  if ((flags & kMapFixed) == 0 || (flags & kMapFixedNoreplace) != 0) return;
  call.effect = Effect::modify;
  const Range range = range_at(machine, arguments[0], arguments[1]);
  const Range huge = rounded_to_huge_pages(range, machine.huge_page_at(range.start));
  const bool wide = is_wide(arguments[0], arguments[1]);
  const bool file = (flags & kMapAnonymous) == 0;
  call.delegated = wide || hugetlb || (file && huge != range);
  call.ranges[0] = hugetlb ? huge : range;
  if (!file) return;
  call.argument = arguments[4];
  if (!hugetlb) call.if_huge = {range.end, huge.end};
  // The kernel moves a bpf arena past the multiple of 4 GiB that it would cross (kernel/bpf/arena.c).
  const Range behind = Range::of(round_up(range.start, 1ULL << 32), arguments[1]);
  if (wide && !range.empty() && !behind.empty()) call.ranges[1] = behind;
}

// Since 6.17 several mappings can move at once, and if the last one has huge pages, the end of the target is
// rounded up (mm/mremap.c, remap_move). It begins at a multiple of their size, at the source as at the
// target.
std::uint64_t end_of_several(const Machine& machine, const Range& source, const Range& target) {
  std::uint64_t end = target.end;
  for (const std::uint64_t size : machine.huge_pages) {
    const bool alike = (source.start - target.start) % size == 0;
    if (alike && round_up(source.start, size) < source.end) end = std::max(end, round_up(target.end, size));
  }
  return end;
}

void decode_mremap(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  // A size of 0, also after rounding up has wrapped, means the page at the old address.
  const bool no_size = round_up(arguments[1], machine.page_size) == 0;
  const std::uint64_t old_size = no_size ? 1 : arguments[1];
  const Range source = call.ranges[0] = range_at(machine, arguments[0], old_size);
  // Where huge pages begin at the source, the kernel rounds the old size up (mm/mremap.c, align_hugetlb), and
  // shrinking then unmaps what lies behind them, too.
  const Range huge = rounded_to_huge_pages(source, machine.huge_page_at(source.start));
  const bool shrinks = !no_size && arguments[1] > arguments[2] && huge != source;
  if (shrinks) call.if_huge = {source.end, huge.end};
  const bool to_chosen_place = (static_cast<std::uint32_t>(arguments[3]) & kMremapFixed) != 0;
  call.delegated = no_size || to_chosen_place || shrinks || is_wide(arguments[0], arguments[1]);
  if (!to_chosen_place) return;
  const Range target = range_at(machine, arguments[4], arguments[2]);
  call.ranges[1] = rounded_to_huge_pages(target, machine.huge_page_at(target.start));
  const bool same_size =
      round_up(arguments[1], machine.page_size) == round_up(arguments[2], machine.page_size);
  if (source.empty() || target.empty() || !same_size) return;
  const std::uint64_t end = std::max(call.ranges[1].end, end_of_several(machine, source, target));
  call.if_huge = {call.ranges[1].end, end};
}

void decode_remap_file_pages(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  call.delegated = true;
  const std::uint64_t start = arguments[0] & machine.address_mask;
  const std::uint64_t rounded = round_down(start, machine.page_size);
  call.ranges[0] = {rounded, start + arguments[1]};
  if (call.ranges[0].end <= start) call.ranges[0] = {};
}

void decode_mprotect(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
  const auto grows = static_cast<std::uint32_t>(arguments[2]) & (kProtGrowsDown | kProtGrowsUp);
  call.grows_down = grows == kProtGrowsDown;
  call.delegated = call.grows_down || is_wide(arguments[0], arguments[1]);
}

void decode_segment(std::uint64_t flags, MmCall& call) {
  if ((static_cast<std::uint32_t>(flags) & kShmHugetlb) == 0) return;
  call.makes_huge_pages = call.delegated = true;
  call.huge_page = huge_page_in(static_cast<std::uint32_t>(flags));
}

void decode_attach(std::uint64_t flags, MmCall& call) {
  if ((static_cast<std::uint32_t>(flags) & kShmRemap) != 0) call.effect = Effect::unjudgeable;
}

void decode_detach(const Machine& machine, std::uint64_t address, MmCall& call) {
  call.effect = Effect::detach;
  call.delegated = true;
  call.argument = address & machine.address_mask;
}

void decode_known(const Machine& machine, const Arguments& arguments, MmCall& call) {
  switch (call.call) {
    case Call::mmap:
      return decode_mmap(machine, arguments, call);
    case Call::munmap:
      call.effect = Effect::modify;
      call.delegated = is_wide(arguments[0], arguments[1]);
      call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
      return;
    case Call::remap_file_pages:
      return decode_remap_file_pages(machine, arguments, call);
    case Call::mprotect:
      return decode_mprotect(machine, arguments, call);
    case Call::mremap:
      return decode_mremap(machine, arguments, call);
    case Call::madvise:
      if (!is_discarding(static_cast<std::uint32_t>(arguments[2]))) return;
      call.effect = Effect::discard;
      call.delegated =
          !is_everyday(static_cast<std::uint32_t>(arguments[2])) || is_wide(arguments[0], arguments[1]);
      call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
      return;
    case Call::shmat:
      return decode_attach(arguments[2], call);
    case Call::shmdt:
      return decode_detach(machine, arguments[0], call);
    case Call::ipc:
      switch (static_cast<std::uint32_t>(arguments[0]) & 0xFFFF) {
        case kIpcShmat:
          return decode_attach(arguments[2], call);
        case kIpcShmget:
          return decode_segment(arguments[3], call);
        case kIpcShmdt:
          return decode_detach(machine, arguments[4], call);
        default:
          return;
      }
    case Call::shmget:
      return decode_segment(arguments[2], call);
    case Call::brk:
      return;
    case Call::io_setup:
      call.argument = static_cast<std::uint32_t>(arguments[0]);
      call.effect = Effect::unjudgeable;  // if it fails, it unmaps its ring again
      return;
    case Call::io_destroy:
      call.argument = arguments[0];
      call.effect = Effect::unjudgeable;
      return;
    case Call::old_mmap:
      call.effect = Effect::unjudgeable;
      return;
    case Call::mseal:
      call.effect = Effect::seal;
      return;
  }
}

}  // namespace

const Abi* find_abi(const Machine& machine, std::uint32_t audit_arch) {
  for (const Abi& abi : machine.abis) {
    if (abi.audit_arch == audit_arch) return &abi;
  }
  return nullptr;
}

const CallNumber* find_call(const Abi& abi, std::uint32_t number) {
  const CallNumber* const end = abi.calls.data() + abi.calls.size();
  const CallNumber* const entry =
      std::lower_bound(abi.calls.data(), end, number,
                       [](const CallNumber& one, std::uint32_t key) { return one.number < key; });
  return entry == end || entry->number != number ? nullptr : entry;
}

MmCall decode(const Machine& machine, const Abi& abi, std::uint32_t number, const Arguments& arguments) {
  MmCall call;
  const CallNumber* const entry = find_call(abi, number);
  if (entry == nullptr) return call;
  call.call = entry->call;
  Arguments read = arguments;
  for (std::uint64_t& argument : read) argument &= abi.argument_mask;
  decode_known(machine, read, call);
  return call;
}

}  // namespace libmseal::policy
