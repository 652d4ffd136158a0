// Makes untrusted names of files and programs safe to print.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace libmseal::shim {

// The text with control characters (including C1 in UTF-8) and invalid UTF-8 written as \xNN.
inline std::string printable(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  // The length of the printable character at `at`; 0: it is not printable.
  const auto size_of = [&](std::size_t at) -> std::size_t {
    const unsigned char first = byte(at);
    if (first < 0x80) return first >= ' ' && first != 0x7F ? 1 : 0;
    const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() - at < size) return 0;
    for (std::size_t next = 1; next < size; ++next) {
      if ((byte(at + next) & 0xC0) != 0x80) return 0;
    }
    return first == 0xC2 && byte(at + 1) < 0xA0 ? 0 : size;
  };
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  shown.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t size = size_of(at); size != 0) {
      shown += text.substr(at, size);
      at += size;
    } else {
      const std::array<char, 4> hex{'\\', 'x', kDigits[byte(at) / 16], kDigits[byte(at) % 16]};
      shown.append(hex.data(), hex.size());
      ++at;
    }
  }
  return shown;
}

}  // namespace libmseal::shim
