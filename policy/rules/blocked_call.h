// The names of the calls that sealed processes lose (bpf/libseccomp_rules.h), as audits report them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "policy/rules/mm_call.h"

namespace libmseal::policy {

struct BlockedCallName {
  std::string_view name;
  std::string_view open;  // the item of MSEAL_OPTIONS that allows it
};

inline constexpr auto kBlockedCallNames = std::to_array<BlockedCallName>({
    {"io_uring_setup", "open=io_uring"},
    {"io_uring_enter", "open=io_uring"},
    {"io_uring_register", "open=io_uring"},
    {"memfd_create(MFD_HUGETLB)", "open=hugetlb_files"},
    {"process_madvise", "open=process_madvise"},
    {"prctl(PR_SET_MM)", "open=prctl_mm"},
    {"arch_prctl(ARCH_ENABLE_TAGGED_ADDR)", "open=tagged_addresses"},
    {"arch_prctl(ARCH_SHSTK_ENABLE)", "open=shadow_stack"},
    {"arch_prctl(ARCH_SHSTK_DISABLE)", "open=shadow_stack"},
    {"prctl(PR_SET_SHADOW_STACK_STATUS)", "open=shadow_stack"},
    {"uselib", "open=uselib"},
});

// Empty for another name.
constexpr std::string_view item_that_opens(std::string_view name) {
  const auto* const found = std::ranges::find(kBlockedCallNames, name, &BlockedCallName::name);
  return found != kBlockedCallNames.end() ? found->open : std::string_view();
}

// The name of a blocked call that the first filter has reported; empty for any other call.
constexpr std::string_view name_of_blocked_call(const Abi& abi, std::uint32_t number,
                                                const Arguments& arguments) {
  const BlockedNumbers& blocked = abi.blocked;
  if (number >= kIoUringSetupNumber && number < kIoUringSetupNumber + 3)
    return kBlockedCallNames[number - kIoUringSetupNumber].name;
  if (number == blocked.memfd_create) return "memfd_create(MFD_HUGETLB)";
  if (number == kProcessMadviseNumber) return "process_madvise";
  if (number == blocked.prctl) {
    return static_cast<std::uint32_t>(arguments[0]) == kShadowStackStatus
               ? "prctl(PR_SET_SHADOW_STACK_STATUS)"
               : "prctl(PR_SET_MM)";
  }
  if (number == blocked.uselib) return "uselib";
  if (number != blocked.arch_prctl) return {};
  switch (static_cast<std::uint32_t>(arguments[0])) {
    case kArchShadowStackOn:
      return "arch_prctl(ARCH_SHSTK_ENABLE)";
    case kArchShadowStackOff:
      return "arch_prctl(ARCH_SHSTK_DISABLE)";
    default:
      return "arch_prctl(ARCH_ENABLE_TAGGED_ADDR)";
  }
}

}  // namespace libmseal::policy
