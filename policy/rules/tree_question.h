// How a program finds out whether it runs in a sealed tree: the tree's first filter answers one call itself,
// without the supervisor.
//
// The call is mmap, because every seccomp profile allows it, for huge pages of an invalid size. Without a
// tree the kernel answers EINVAL (mm/mmap.c, ksys_mmap_pgoff).
#pragma once

#include <cerrno>
#include <cstdint>

#include "policy/rules/mm_call.h"

namespace libmseal::policy {

// Flags for mmap, which mark both this question and messages to the supervisor (protocol/control.h).
inline constexpr std::uint32_t kHugePagesOfInvalidSize = 63U << 26 | kMapHugetlb | kMapAnonymous;

inline constexpr std::uint32_t kTreeQuestion = kHugePagesOfInvalidSize | 0x2;  // MAP_PRIVATE
inline constexpr int kInTree = EALREADY;                                       // the answer, as errno

}  // namespace libmseal::policy
