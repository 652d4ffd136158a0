// Name, size and capacities of the seal table. seal_table.h has the layout, which needs Boost.
#pragma once

#include <cstddef>
#include <string_view>

#include "policy/rules/range.h"

namespace libmseal::shim {

// Of the options that policy files give a program, and of MSEAL_OPTIONS, with a zero at the end.
inline constexpr std::size_t kOptionTextBytes = 65536;
inline constexpr std::size_t kMostSeals = 65536;
inline constexpr std::size_t kMostFences = 16384;
inline constexpr std::size_t kMostRanges = 16384;  // of one call of mseal, and mappings in them
inline constexpr std::size_t kMostPieces = 8192;   // of one call: more than filters can refuse
inline constexpr std::size_t kMostKeyed = 1024;    // of these: the writable ones with a protection key
inline constexpr std::size_t kTableBytes = std::size_t{4} << 20;  // room for all of these
inline constexpr std::size_t kSmallTableBytes = 4096;             // used as long as a table is almost empty

inline constexpr const char* kTableName = "libmseal-table";
inline constexpr std::string_view kTablePath = "/memfd:libmseal-table";  // in /proc/PID/maps

// The complaint about options that are longer. The program must not start, because they may refuse that.
inline constexpr std::string_view kTooManyRules = "the policy files have too many rules for this program";

// The only seal of a table that overflowed: it does not show what is sealed.
inline constexpr policy::Range kEverything{0, ~0ULL};

}  // namespace libmseal::shim
