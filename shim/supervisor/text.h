// Texts for logs and events.
#pragma once

#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>

namespace libmseal::supervisor {

// A number as 0x1f.
struct Hex {
  std::uint64_t value;

  friend std::ostream& operator<<(std::ostream& out, Hex number) {
    return out << "0x" << std::hex << number.value << std::dec;
  }
};

// The parts, one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace libmseal::supervisor
