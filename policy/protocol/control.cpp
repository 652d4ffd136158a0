#include "policy/protocol/control.h"

#include <array>

#include "policy/rules/tree_question.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kKindMask = 0x1F;
// How the types of a seal differ from those of mseal(2).
constexpr std::uint64_t kWithoutProtection = 1U << 5;
constexpr std::uint64_t kWithoutContents = 1U << 6;
constexpr std::uint64_t kNoMore = 1U << 7;
constexpr std::uint64_t kTypes = kWithoutProtection | kWithoutContents | kNoMore;
constexpr std::uint64_t kDiscardProtected = 1U << 8;
constexpr std::uint64_t kRefused = 1U << 9;
constexpr std::uint64_t kMayGrowDown = 1U << 10;
constexpr std::uint64_t kLastIsSupervised = 1U << 11;
constexpr std::uint64_t kObjectPart = 1U << 12;
constexpr std::uint64_t kIsAlone = 1U << 12;  // not of `range`
constexpr std::uint64_t kWritableToo = 1U << 13;
constexpr std::uint64_t kDiscardAsKernel = 1U << 14;
constexpr std::uint64_t kSeveral = 1U << 15;  // packed ranges, in these registers:
constexpr std::array<std::size_t, 4> kPackedIn{0, 1, 4, 5};

using Kind = Control::Kind;

// A range in one register: the number of its first page, and the number of pages. Pages have 4 KiB here; all
// real page sizes are multiples.
constexpr unsigned kPageShift = 12;
constexpr unsigned kCountBits = 28;

constexpr bool can_be_packed(const Range& range) {
  constexpr std::uint64_t kOddBits = (1U << kPageShift) - 1;
  return ((range.start | range.end) & kOddBits) == 0 && range.end >> 48 == 0 && !range.empty() &&
         range.size() >> kPageShift >> kCountBits == 0;
}
constexpr std::uint64_t pack(const Range& range) {
  return range.start >> kPageShift << kCountBits | range.size() >> kPageShift;
}
constexpr Range unpack(std::uint64_t packed) {
  constexpr std::uint64_t kCount = (1U << kCountBits) - 1;
  return Range::of(packed >> kCountBits << kPageShift, (packed & kCount) << kPageShift);
}

constexpr bool adds_seal(Kind kind) {
  return kind == Kind::add_supervised || kind == Kind::add_filtered;
}

constexpr bool tells_of_break(Kind kind) {
  return kind == Kind::seal || kind == Kind::filters_are_in;
}

constexpr std::uint64_t flags_of(Kind kind) {
  if (adds_seal(kind)) {
    const std::uint64_t by_both = kind == Kind::add_filtered ? kLastIsSupervised : 0;
    return kDiscardProtected | kMayGrowDown | kTypes | kSeveral | kIsAlone | by_both;
  }
  if (kind == Kind::range) return kObjectPart | kWritableToo | kSeveral;
  if (kind == Kind::seal) return kDiscardAsKernel | kTypes | kIsAlone;
  if (kind == Kind::filters_are_in) return kDiscardAsKernel | kIsAlone;
  if (kind == Kind::prepare) return kTypes | kIsAlone;
  return kind == Kind::call_site ? kRefused : 0;
}

constexpr bool names_pages(Kind kind) {
  return kind != Kind::join && kind != Kind::filters_are_in && kind != Kind::cancel &&
         kind != Kind::is_alone && kind != Kind::refusals;
}

bool is_of_pages(const Machine& machine, const Range& range) {
  return !range.empty() && range.start % machine.page_size == 0 && range.end % machine.page_size == 0;
}

// At least two ranges, and zeros after the last.
bool well_packed(const Machine& machine, const Arguments& arguments) {
  std::size_t ranges = 0;
  for (std::size_t index = 0; index < kPackedIn.size(); ++index) {
    const std::uint64_t packed = arguments[kPackedIn[index]];
    if (packed == 0) continue;
    if (ranges++ != index || !is_of_pages(machine, unpack(packed))) return false;
  }
  return ranges >= 2;
}

// Whether the message has no field that its kind does not have.
bool well_formed(const Machine& machine, Kind kind, std::uint64_t flags, const Arguments& arguments) {
  if (kind < Kind::join || kind > Kind::refusals) return false;
  if ((flags & ~flags_of(kind)) != 0) return false;
  if (kind == Kind::call_site) return true;
  if ((flags & kSeveral) != 0) return well_packed(machine, arguments);
  if ((flags & kLastIsSupervised) != 0) return false;
  if (arguments[5] != 0) return false;
  if (kind == Kind::refusals) {
    if (arguments[4] == 0 || arguments[4] >> 32 != 0) return false;
  } else if (arguments[4] != 0 && !adds_seal(kind) && !tells_of_break(kind)) {
    return false;
  }
  const bool empty = arguments[0] == 0 && arguments[1] == 0;
  if (!names_pages(kind)) return empty;
  if (empty && kind == Kind::seal) return true;
  return is_of_pages(machine, Range::of(arguments[0], arguments[1]));
}

// Argument 4, whose meaning depends on the kind.
std::uint64_t argument_4_of(const Control& message) {
  switch (message.kind) {
    case Kind::call_site:
      return message.site;
    case Kind::seal:
    case Kind::filters_are_in:
      return message.present_break;
    case Kind::refusals:
      return message.count;
    default:
      return adds_seal(message.kind) ? message.seal.attachment : 0;
  }
}

std::uint64_t flags_of_types(SealTypes types) {
  std::uint64_t flags = 0;
  if (!types.has(kProtectionType)) flags |= kWithoutProtection;
  if (!types.has(kContentsType)) flags |= kWithoutContents;
  if (types.has(kNoMoreTypes)) flags |= kNoMore;
  return flags;
}

SealTypes types_of(std::uint64_t flags) {
  SealTypes types = kBaseType;
  if ((flags & kWithoutProtection) == 0) types = types | kProtectionType;
  if ((flags & kWithoutContents) == 0) types = types | kContentsType;
  if ((flags & kNoMore) != 0) types = types | kNoMoreTypes;
  return types;
}

}  // namespace

Arguments encode(const Control& message) {
  const auto flag = [](bool set, std::uint64_t bit) { return set ? bit : 0; };
  const std::uint64_t flags =
      static_cast<std::uint64_t>(message.kind) | flags_of_types(message.seal.types) |
      flag(message.seal.discard_protected, kDiscardProtected) |
      flag(message.seal.may_grow_down, kMayGrowDown) | flag(message.object_part, kObjectPart) |
      flag(message.writable_too, kWritableToo) | flag(message.discard_as_kernel, kDiscardAsKernel) |
      flag(message.refused, kRefused) | flag(message.is_alone, kIsAlone);
  if (!message.more.empty()) {
    const std::uint64_t several = kSeveral | flag(message.last_is_supervised, kLastIsSupervised);
    Arguments packed{pack(message.seal.range), 0, flags | several, kControlMagic, 0, 0};
    for (std::size_t index = 0; index < message.more.size(); ++index)
      packed[kPackedIn[index + 1]] = pack(message.more[index]);
    return packed;
  }
  return {message.seal.range.start,
          message.seal.range.size(),
          flags,
          kControlMagic,
          argument_4_of(message),
          std::uint64_t{message.third_argument} << 32 | message.number};
}

std::size_t put_ranges(Control& message, std::span<const Range> ranges) {
  message.seal.range = ranges[0];
  message.more.clear();
  if (message.seal.attachment != Seal::kNotAttached || !can_be_packed(ranges[0])) return 1;
  for (const Range& range : ranges.subspan(1)) {
    if (!can_be_packed(range) || !message.more.push_back(range)) break;
  }
  return 1 + message.more.size();
}

std::optional<Control> decode_control(const Machine& machine, const Arguments& arguments, bool& malformed) {
  malformed = false;
  if (arguments[3] != kControlMagic) return std::nullopt;
  const auto kind = static_cast<Kind>(arguments[2] & kKindMask);
  const std::uint64_t flags = arguments[2] & ~kKindMask;
  malformed = !well_formed(machine, kind, flags, arguments);
  if (malformed) return std::nullopt;
  Control message;
  message.kind = kind;
  message.seal.range = Range::of(arguments[0], arguments[1]);
  message.seal.discard_protected = (flags & kDiscardProtected) != 0;
  message.seal.may_grow_down = (flags & kMayGrowDown) != 0;
  message.seal.types = types_of(flags);
  message.object_part = kind == Kind::range && (flags & kObjectPart) != 0;
  message.is_alone = kind != Kind::range && (flags & kIsAlone) != 0;
  message.writable_too = (flags & kWritableToo) != 0;
  message.discard_as_kernel = (flags & kDiscardAsKernel) != 0;
  message.refused = (flags & kRefused) != 0;
  if ((flags & kSeveral) != 0) {
    message.seal.range = unpack(arguments[kPackedIn[0]]);
    message.last_is_supervised = (flags & kLastIsSupervised) != 0;
    for (std::size_t index = 1; index < kPackedIn.size(); ++index) {
      const std::uint64_t packed = arguments[kPackedIn[index]];
      if (packed != 0) (void)message.more.push_back(unpack(packed));
    }
  } else if (kind == Kind::call_site) {
    message.site = arguments[4];
    message.number = static_cast<std::uint32_t>(arguments[5]);
    message.third_argument = static_cast<std::uint32_t>(arguments[5] >> 32);
  } else if (tells_of_break(kind)) {
    message.present_break = arguments[4];
  } else if (kind == Kind::refusals) {
    message.count = static_cast<std::uint32_t>(arguments[4]);
  } else if (adds_seal(kind)) {
    message.seal.attachment = arguments[4];
  }
  return message;
}

// The flags of a wrapped message. The length is 0.
constexpr std::uint64_t kWrapping = std::uint64_t{0x6C69626D} << 32 | kHugePagesOfInvalidSize;

Arguments wrap_in_mmap(const Arguments& message) {
  const auto number = static_cast<std::uint16_t>(message[5]);  // of a system call
  const std::uint64_t flags = message[2] & 0xFFFF;
  const std::uint64_t third = message[5] >> 32;
  return {message[0], 0,          std::uint64_t{number} << 48 | flags << 32 | third,
          kWrapping,  message[1], message[4]};
}

std::optional<Arguments> unwrap_from_mmap(const Arguments& arguments) {
  if (arguments[1] != 0 || arguments[3] != kWrapping) return std::nullopt;
  const std::uint64_t number = arguments[2] >> 48;
  const std::uint64_t flags = arguments[2] >> 32 & 0xFFFF;
  const std::uint64_t third = arguments[2] & 0xFFFF'FFFF;
  return Arguments{arguments[0], arguments[4], flags, kControlMagic, arguments[5], third << 32 | number};
}

}  // namespace libmseal::policy
