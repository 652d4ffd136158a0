#include "policy/control.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kKindMask = 0xFF;
constexpr std::uint64_t kDiscardProtected = 1U << 8;
constexpr std::uint64_t kRefused = 1U << 9;
constexpr std::uint64_t kMayGrowDown = 1U << 10;
constexpr std::uint64_t kSealFlags = kDiscardProtected | kMayGrowDown;

using Kind = Control::Kind;

constexpr bool adds_seal(Kind kind) {
  return kind == Kind::add_supervised || kind == Kind::add_filtered;
}

constexpr bool names_pages(Kind kind) {
  return adds_seal(kind) || kind == Kind::prepare || kind == Kind::query;
}

// Whether the message has nothing but what its kind may have.
bool well_formed(const Machine& machine, Kind kind, std::uint64_t flags, const Arguments& arguments) {
  if (kind < Kind::hello || kind > Kind::call_site) return false;
  if (kind == Kind::call_site) return (flags & ~kRefused) == 0;
  if ((flags & ~(adds_seal(kind) ? kSealFlags : 0)) != 0 || arguments[5] != 0) return false;
  if (arguments[4] != 0 && !adds_seal(kind)) return false;
  if (!names_pages(kind)) return arguments[0] == 0 && arguments[1] == 0;
  return arguments[0] % machine.page_size == 0 && arguments[1] % machine.page_size == 0 &&
         !Range::of(arguments[0], arguments[1]).empty();
}

}  // namespace

Arguments encode(const Control& message) {
  const auto flag = [](bool set, std::uint64_t bit) { return set ? bit : 0; };
  const std::uint64_t flags =
      static_cast<std::uint64_t>(message.kind) | flag(message.seal.discard_protected, kDiscardProtected) |
      flag(message.seal.may_grow_down, kMayGrowDown) | flag(message.refused, kRefused);
  return {message.seal.range.start,
          message.seal.range.size(),
          flags,
          kControlMagic,
          message.kind == Kind::call_site ? message.site : message.seal.attachment,
          message.number};
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
  if (kind == Kind::call_site) {
    message.refused = (flags & kRefused) != 0;
    message.site = arguments[4];
    message.number = arguments[5];
  } else {
    message.seal.discard_protected = (flags & kDiscardProtected) != 0;
    message.seal.may_grow_down = (flags & kMayGrowDown) != 0;
    message.seal.attachment = arguments[4];
  }
  return message;
}

}  // namespace libmseal::policy
