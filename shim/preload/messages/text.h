// Text in arrays of fixed size.
#pragma once

#include <array>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace libmseal::shim {

// Concatenates the texts. False, with an empty result, if they do not fit.
template <std::size_t Size>
bool copy_text(std::array<char, Size>& to, std::initializer_list<std::string_view> texts) {
  std::size_t used = 0;
  for (const std::string_view text : texts) {
    if (text.size() >= Size - used) {
      to[0] = '\0';
      return false;
    }
    std::memcpy(to.data() + used, text.data(), text.size());
    used += text.size();
  }
  to[used] = '\0';
  return true;
}

}  // namespace libmseal::shim
