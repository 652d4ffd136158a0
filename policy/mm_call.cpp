#include "policy/mm_call.h"

#include <algorithm>

namespace libmseal::policy {
namespace {

using Effect = MmCall::Effect;
using Hidden = MmCall::Hidden;

Range range_at(const Machine& machine, std::uint64_t address, std::uint64_t length) {
  const std::uint64_t start = address & machine.address_mask;
  if (start % machine.page_size != 0) return {};
  const Range range = Range::of(start, length);
  return range.empty() ? Range{} : range;
}

// The end of the range has another upper word than its start.
bool is_wide(std::uint64_t address, std::uint64_t length) {
  constexpr std::uint64_t kWord = 1ULL << 32;
  return length >= kWord || address % kWord + length >= kWord;
}

void decode_mmap(const Machine& machine, const Arguments& arguments, MmCall& call) {
  const auto flags = static_cast<std::uint32_t>(arguments[3]);
  if ((flags & kMapFixed) == 0 || (flags & kMapFixedNoreplace) != 0) return;
  call.effect = Effect::modify;
  call.rare = is_wide(arguments[0], arguments[1]);
  call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
  const bool anonymous = (flags & kMapAnonymous) != 0;
  const bool maybe_huge_file = !anonymous && arguments[0] % machine.smallest_huge_page == 0;
  if ((flags & kMapHugetlb) != 0 || maybe_huge_file) call.hidden = Hidden::huge_pages;
  call.argument = anonymous ? ~0ULL : arguments[4];
}

void decode_mremap(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  // A size of 0, also by rounding up past the end of all numbers, stands for the page at the old address.
  const bool no_size = round_up(arguments[1], machine.page_size) == 0;
  const std::uint64_t old_size = no_size ? 1 : arguments[1];
  call.ranges[0] = range_at(machine, arguments[0], old_size);
  const bool to_chosen_place = (static_cast<std::uint32_t>(arguments[3]) & kMremapFixed) != 0;
  call.rare = no_size || to_chosen_place || is_wide(arguments[0], arguments[1]);
  if (to_chosen_place) {
    call.ranges[1] = range_at(machine, arguments[4], arguments[2]);
  }
}

void decode_remap_file_pages(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  call.rare = true;
  const std::uint64_t start = arguments[0] & machine.address_mask;
  const std::uint64_t rounded = round_down(start, machine.page_size);
  call.ranges[0] = {rounded, start + arguments[1]};
  if (start != rounded) call.hidden = Hidden::rounded;
  if (call.ranges[0].end <= start) call.ranges[0] = {};
}

void decode_mprotect(const Machine& machine, const Arguments& arguments, MmCall& call) {
  call.effect = Effect::modify;
  call.rare = is_wide(arguments[0], arguments[1]);
  call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
  const auto protection = static_cast<std::uint32_t>(arguments[2]);
  if ((protection & kProtGrowsDown) != 0) {
    call.hidden = Hidden::grows_down;
  } else if ((protection & kProtGrowsUp) != 0) {
    call.hidden = Hidden::grows_up;
  }
}

}  // namespace

const Abi* find_abi(const Machine& machine, std::uint32_t audit_arch) {
  for (const Abi& abi : machine.abis) {
    if (abi.audit_arch == audit_arch) return &abi;
  }
  return nullptr;
}

bool changes_memory(const Machine& machine, std::uint64_t number) {
  for (const Abi& abi : machine.abis) {
    for (const CallNumber& entry : abi.calls) {
      if (entry.number == number && entry.call != Call::clone) return true;
    }
  }
  return false;
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
  switch (call.call) {
    case Call::mmap:
      decode_mmap(machine, arguments, call);
      break;
    case Call::munmap:
      call.effect = Effect::modify;
      call.rare = is_wide(arguments[0], arguments[1]);
      call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
      break;
    case Call::remap_file_pages:
      decode_remap_file_pages(machine, arguments, call);
      break;
    case Call::mprotect:
      decode_mprotect(machine, arguments, call);
      break;
    case Call::mremap:
      decode_mremap(machine, arguments, call);
      break;
    case Call::madvise:
      if (is_discarding(static_cast<std::uint32_t>(arguments[2]))) {
        call.effect = Effect::discard;
        call.rare =
            !is_everyday(static_cast<std::uint32_t>(arguments[2])) || is_wide(arguments[0], arguments[1]);
        call.ranges[0] = range_at(machine, arguments[0], arguments[1]);
      }
      break;
    case Call::brk:
      call.effect = Effect::lower_break;
      call.argument = arguments[0];
      break;
    case Call::shmat:
      if ((static_cast<std::uint32_t>(arguments[2]) & kShmRemap) != 0) {
        call.effect = Effect::modify;
        call.hidden = Hidden::segment;
        call.ranges[0] = Range::of(arguments[1] & machine.address_mask, 0);
        call.argument = arguments[0];
      }
      break;
    case Call::shmdt:
      call.effect = Effect::modify;
      call.hidden = Hidden::attached;
      call.ranges[0] = Range::of(arguments[0] & machine.address_mask, 0);
      break;
    case Call::io_destroy:
      call.effect = Effect::modify;
      call.hidden = Hidden::ring;
      call.ranges[0] = Range::of(arguments[0], 0);
      break;
    case Call::old_mmap:
      call.effect = Effect::modify;
      call.hidden = Hidden::in_memory;
      break;
    case Call::ipc: {
      const auto operation = static_cast<std::uint32_t>(arguments[0]) & 0xFFFF;
      if (operation == kIpcShmat || operation == kIpcShmdt) {
        call.effect = Effect::modify;
        call.hidden = Hidden::in_memory;
      }
      break;
    }
    case Call::clone: {
      const auto flags = static_cast<std::uint32_t>(arguments[0]);
      if ((flags & (kCloneVm | kCloneThread | kCloneVfork)) == kCloneVm) call.effect = Effect::share_memory;
      break;
    }
    case Call::mseal:
      call.effect = Effect::seal;
      break;
  }
  return call;
}

}  // namespace libmseal::policy
