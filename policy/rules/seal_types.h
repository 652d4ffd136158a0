// What a seal refuses: MSEAL_TYPE_* of mseal.h, from version 3 of the kernel's mseal patch series.
#pragma once

#include <compare>
#include <cstdint>

namespace libmseal::policy {

// A set of types.
class SealTypes {
 public:
  constexpr SealTypes() = default;  // as mseal(2)
  static constexpr SealTypes of_bits(std::uint8_t bits) {
    SealTypes types;
    types.bits_ = bits;
    return types;
  }
  [[nodiscard]] constexpr std::uint8_t bits() const { return bits_; }
  [[nodiscard]] constexpr bool has(SealTypes wanted) const { return (bits_ & wanted.bits_) == wanted.bits_; }
  friend constexpr SealTypes operator|(SealTypes one, SealTypes other) {
    return of_bits(one.bits_ | other.bits_);
  }
  friend constexpr SealTypes operator&(SealTypes one, SealTypes other) {
    return of_bits(one.bits_ & other.bits_);
  }
  constexpr auto operator<=>(const SealTypes&) const = default;

 private:
  std::uint8_t bits_ = 2 | 4 | 8;
};

inline constexpr SealTypes kNoType = SealTypes::of_bits(0);
inline constexpr SealTypes kNoMoreTypes = SealTypes::of_bits(1);     // no type may be added later
inline constexpr SealTypes kBaseType = SealTypes::of_bits(2);        // unmapping, moving, resizing, replacing
inline constexpr SealTypes kProtectionType = SealTypes::of_bits(4);  // mprotect and pkey_mprotect
inline constexpr SealTypes kContentsType = SealTypes::of_bits(8);    // discarding
inline constexpr SealTypes kWholeSeal;                               // as mseal(2): the last three
inline constexpr SealTypes kEveryType = kWholeSeal | kNoMoreTypes;
static_assert(kWholeSeal == (kBaseType | kProtectionType | kContentsType));

}  // namespace libmseal::policy
