#include "policy/parsers/stat_line.h"

#include <charconv>

namespace libmseal::policy {
namespace {

constexpr int kLastField = 50;

// The member for the field; null if we do not use it.
std::uint64_t* place_of(int field, StatLine& line) {
  switch (field) {
    case 4:
      return &line.parent;
    case 9:
      return &line.flags;
    case 14:
      return &line.user_time;
    case 20:
      return &line.threads;
    case 22:
      return &line.start_time;
    case 23:
      return &line.size;
    case 26:
      return &line.start_code;
    case 28:
      return &line.start_stack;
    case 47:
      return &line.start_brk;
    case 48:
      return &line.arg_start;
    case 50:
      return &line.env_start;
    default:
      return nullptr;
  }
}

}  // namespace

std::optional<StatLine> parse_stat_line(std::string_view text) {
  // The command, in parentheses, may contain anything: fields are counted after the last parenthesis.
  const std::size_t command = text.rfind(')');
  if (command == std::string_view::npos || text.size() < command + 3) return std::nullopt;
  text.remove_prefix(command + 2);
  StatLine line;
  line.state = text.front();
  for (int field = 3; !text.empty(); ++field) {
    const std::size_t end = text.find_first_of(" \n");
    std::string_view value = text;
    if (end != std::string_view::npos) value.remove_suffix(text.size() - end);
    if (std::uint64_t* const place = place_of(field, line)) {
      const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), *place);
      if (error != std::errc{} || stop != value.data() + value.size()) return std::nullopt;
    }
    if (field == kLastField) return line;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return std::nullopt;
}

}  // namespace libmseal::policy
