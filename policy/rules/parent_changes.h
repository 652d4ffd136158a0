// Calls after which the parent of a process in /proc may not be the process that forked it.
#pragma once

#include <cstdint>

#include "policy/rules/mm_call.h"

namespace libmseal::policy {

// clone(2): the new process becomes a child of the caller's parent.
inline constexpr std::uint32_t kCloneParent = 0x8000;  // CLONE_PARENT
// prctl(2): the caller adopts orphaned descendants.
inline constexpr std::uint32_t kSetChildSubreaper = 36;  // PR_SET_CHILD_SUBREAPER

inline bool makes_sibling(const Abi& abi, std::uint32_t number, const Arguments& arguments) {
  return number == abi.clones.clone && (arguments[0] & kCloneParent) != 0;
}
inline bool makes_subreaper(const Abi& abi, std::uint32_t number, const Arguments& arguments) {
  return number == abi.blocked.prctl && static_cast<std::uint32_t>(arguments[0]) == kSetChildSubreaper;
}

}  // namespace libmseal::policy
