#include "policy/control.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kKeepsContents = 1U << 8;
constexpr std::uint64_t kRefused = 1U << 9;

}  // namespace

Arguments encode(const Control& message) {
  const std::uint64_t flags = static_cast<std::uint64_t>(message.kind) |
                              (message.seal.keeps_contents ? kKeepsContents : 0) |
                              (message.refused ? kRefused : 0);
  return {message.seal.range.start,
          message.seal.range.size(),
          flags,
          kControlMagic,
          message.site,
          message.number};
}

std::optional<Control> decode_control(const Machine& machine, const Arguments& arguments, bool& malformed) {
  malformed = false;
  if (arguments[3] != kControlMagic) return std::nullopt;
  Control message;
  const std::uint64_t kind = arguments[2] & ~(kKeepsContents | kRefused);
  message.kind = static_cast<Control::Kind>(kind);
  message.seal.range = Range::of(arguments[0], arguments[1]);
  message.seal.keeps_contents = (arguments[2] & kKeepsContents) != 0;
  const bool known = kind >= static_cast<std::uint64_t>(Control::Kind::hello) &&
                     kind <= static_cast<std::uint64_t>(Control::Kind::call_site);
  if (message.kind == Control::Kind::call_site) {
    message.refused = (arguments[2] & kRefused) != 0;
    message.site = arguments[4];
    message.number = arguments[5];
    malformed = message.seal.keeps_contents;
    return malformed ? std::nullopt : std::optional(message);
  }
  const bool whole_pages = arguments[0] % machine.page_size == 0 && arguments[1] % machine.page_size == 0;
  const bool wants_range = message.kind != Control::Kind::hello;
  const bool good_range = !wants_range || (!message.seal.range.empty() && whole_pages);
  if (!known || !good_range || (arguments[2] & kRefused) != 0 || arguments[4] != 0 || arguments[5] != 0) {
    malformed = true;
    return std::nullopt;
  }
  return message;
}

}  // namespace libmseal::policy
