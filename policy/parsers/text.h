// Takes parts from the front of a text.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace libmseal::policy {

// False if the text begins differently.
inline bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// False if there is no number, or if it does not fit into 64 bits.
inline bool take_number(std::string_view& text, int base, std::uint64_t& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (wrong != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// What is before the separator, which is taken, too; all of the text if it has none.
inline std::string_view take_until(std::string_view& text, char separator) {
  const std::string_view part(text.data(), std::min(text.find(separator), text.size()));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

// What is after the last slash; all of the path if it has none.
inline std::string_view last_component(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0
  return path;
}

}  // namespace libmseal::policy
