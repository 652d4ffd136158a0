// Offsets of the fields of seccomp_data, and the two words of a 64-bit number.
#pragma once

#include <linux/seccomp.h>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace libmseal::policy {

static_assert(std::endian::native == std::endian::little, "argument halves are read in little-endian order");

inline constexpr std::uint32_t kNumberField = offsetof(seccomp_data, nr);
inline constexpr std::uint32_t kArchField = offsetof(seccomp_data, arch);

constexpr std::uint32_t low_of(std::uint32_t argument) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args)) + argument * 8;
}
constexpr std::uint32_t high_of(std::uint32_t argument) {
  return low_of(argument) + 4;
}

constexpr std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

}  // namespace libmseal::policy
