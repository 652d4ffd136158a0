// Sequences of operations on the twins' arena: written down, read again, shown as C.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/differential/operation_kinds.h"

namespace libmseal::tests {

struct Sequence {
  std::uint64_t arena = 0;
  unsigned files = 0;  // RLIMIT_NOFILE of the twin and the supervisor, if not 0
  std::vector<operation> operations;
};

// "0x10000000", then a line an operation: "caller garbage name arguments...", numbers in hexadecimal.
std::string to_line(const operation& one);
std::optional<operation> parse_line(std::string_view line);

// "mprotect(0x1000000000, 0x1000, 0x1) by thread"
std::string to_text(const operation& one);
// A whole program that does the operations and prints what came of each.
std::string to_program(const Sequence& sequence);

}  // namespace libmseal::tests
