// The version of everything that library, supervisor, table and tool pass to each other.
//
// They are installed together, but a tree of processes lives through an upgrade: a new library may meet the
// old supervisor. Each side compares this number first, and does without the other if it differs.
//
// tests/unit/layout_test.cpp knows what belongs to it, and fails when any of that changes and the number does
// not. A change of meaning alone needs a new number just as well.
#pragma once

#include <cstdint>

namespace libmseal::policy {

inline constexpr std::uint32_t kLayoutVersion = 17;

}  // namespace libmseal::policy
