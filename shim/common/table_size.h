// How much memory the seal table is mapped with. Apart from its layout, which drags Boost along.
#pragma once

#include <cstddef>

namespace libmseal::shim {

inline constexpr std::size_t kPolicyTextBytes = 4096;
inline constexpr std::size_t kTableBytes = std::size_t{4} << 20;  // sparse: what is not used takes no memory

}  // namespace libmseal::shim
