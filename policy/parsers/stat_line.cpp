#include "policy/parsers/stat_line.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace libmseal::policy {
namespace {

// The fields that we use, in ascending order.
struct Field {
  int number;
  std::uint64_t StatLine::*value;
};
constexpr Field kFields[] = {
    {4, &StatLine::parent},      {9, &StatLine::flags},        {14, &StatLine::user_time},
    {20, &StatLine::threads},    {22, &StatLine::start_time},  {23, &StatLine::size},
    {26, &StatLine::start_code}, {28, &StatLine::start_stack}, {47, &StatLine::start_brk},
    {48, &StatLine::arg_start},  {50, &StatLine::env_start},
};

}  // namespace

std::optional<StatLine> parse_stat_line(std::string_view text) {
  // The command, in parentheses, may contain anything: fields are counted after the last parenthesis.
  const std::size_t command = text.rfind(')');
  if (command == std::string_view::npos || text.size() < command + 3) return std::nullopt;
  text.remove_prefix(command + 2);
  StatLine line;
  line.state = text.front();
  const Field* wanted = std::begin(kFields);
  for (int field = 3; !text.empty(); ++field) {
    const std::size_t end = text.find_first_of(" \n");
    const std::string_view value(text.data(), std::min(end, text.size()));
    if (field == wanted->number) {
      const char* const last = value.data() + value.size();
      const auto [stop, error] = std::from_chars(value.data(), last, line.*wanted->value);
      if (error != std::errc{} || stop != last) return std::nullopt;
      if (++wanted == std::end(kFields)) return line;
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return std::nullopt;
}

}  // namespace libmseal::policy
