// The version of all data that library, supervisor and tool exchange.
//
// They are installed together, but after an upgrade a new library may meet an old supervisor in a running
// process tree. Each side compares this number first, and does not use the other side if it differs.
//
// tests/unit/layout_test.cpp fails if the layout changes and the number does not. A change of meaning needs a
// new number, too.
#pragma once

#include <cstdint>

namespace libmseal::policy {

inline constexpr std::uint32_t kLayoutVersion = 25;

}  // namespace libmseal::policy
