// Calls after which the parent that /proc shows of a process may not be the one that it was copied from.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"

namespace libmseal::policy {

// clone(2): the child becomes one of the caller's parent.
inline constexpr std::uint32_t kCloneParent = 0x8000;  // CLONE_PARENT
// prctl(2): the caller adopts what its descendants leave behind.
inline constexpr std::uint32_t kSetChildSubreaper = 36;  // PR_SET_CHILD_SUBREAPER

inline bool makes_sibling(const Abi& abi, std::uint32_t number, const Arguments& arguments) {
  return number == abi.clones.clone && (arguments[0] & kCloneParent) != 0;
}
inline bool makes_adopter(const Abi& abi, std::uint32_t number, const Arguments& arguments) {
  return number == abi.blocked.prctl && static_cast<std::uint32_t>(arguments[0]) == kSetChildSubreaper;
}

}  // namespace libmseal::policy
