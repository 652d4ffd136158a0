// Makes names of files and programs safe to print: anybody may have chosen them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace libmseal::shim {

// The text with every byte that would steer a terminal or begin another line written as \xNN: control
// characters, those of 8 bits in UTF-8 as well, and what is no UTF-8.
inline std::string printable(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  // How many bytes a character at `at` has that is fit to be shown; 0: there is none.
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
