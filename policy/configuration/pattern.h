// Shell patterns (fnmatch(3)) for the path of a file or its last component.
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "policy/parsers/text.h"

namespace libmseal::policy {

inline bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char one) { return static_cast<unsigned char>(one) < ' ' || one == 0x7F; });
}

inline constexpr std::size_t kLongestPattern = 511;

// Whether a policy file may have it as a name.
inline bool is_pattern(std::string_view text) {
  return !text.empty() && text.size() <= kLongestPattern && !text.starts_with('!') &&
         text.find_first_of(":,") == std::string_view::npos && !has_control_character(text);
}

inline bool fits(const char* pattern, const char* path) {
  if (fnmatch(pattern, path, 0) == 0) return true;
  const char* const slash = std::strrchr(path, '/');
  return slash != nullptr && fnmatch(pattern, slash + 1, 0) == 0;
}

// What a list of patterns, joined by ':', says about a file. The first pattern that matches decides; one that
// begins with '!' excludes the file.
enum class Listed : unsigned char { not_named, included, excluded };

inline Listed look_up(std::string_view patterns, const char* path) {
  std::array<char, kLongestPattern + 1> pattern;
  while (!patterns.empty()) {
    std::string_view one = take_until(patterns, ':');
    const bool excludes = take(one, "!");
    if (one.empty() || one.size() >= pattern.size()) continue;
    std::memcpy(pattern.data(), one.data(), one.size());
    pattern[one.size()] = '\0';
    if (fits(pattern.data(), path)) return excludes ? Listed::excluded : Listed::included;
  }
  return Listed::not_named;
}

}  // namespace libmseal::policy
