// Formats text for logs and events.
#pragma once

#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>

#include "policy/rules/range.h"

namespace libmseal::supervisor {

// A number as 0x1f.
struct Hex {
  std::uint64_t value;

  friend std::ostream& operator<<(std::ostream& out, Hex number) {
    return out << "0x" << std::hex << number.value << std::dec;
  }
};

// A range as [0x1000, 0x2000).
struct RangeText {
  policy::Range range;

  friend std::ostream& operator<<(std::ostream& out, const RangeText& shown) {
    return out << '[' << Hex{shown.range.start} << ", " << Hex{shown.range.end} << ')';
  }
};

// Concatenates the parts.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

}  // namespace libmseal::supervisor
