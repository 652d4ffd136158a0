// Whether this kernel has mseal(2).
#pragma once

#include <sys/utsname.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "policy/parsers/text.h"
#include "policy/rules/abi.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

enum class KernelMseal : std::uint8_t {
  works,
  refused,  // by a container's profile
  missing,
  not_asked,  // a filter would answer or kill
};

// Tests what the call does. Must run before the first filter answers it.
inline KernelMseal ask_kernel(const policy::Machine& machine) {
  const std::uint64_t page = machine.page_size;
  const auto mseal = [](std::uint64_t address, std::uint64_t length, std::uint64_t flags) {
    return raw_syscall(policy::kMsealNumber, address, length, flags);
  };
  // None of these seals anything: a bad flag, an unaligned start, an empty range, an impossible address.
  const long with_bad_flag = mseal(page, 0, 1);
  if (with_bad_flag == -EPERM) return KernelMseal::refused;
  const bool works = with_bad_flag == -EINVAL && mseal(page + 1, page, 0) == -EINVAL &&
                     mseal(page, 0, 0) == 0 && mseal(kNowhere, page, 0) == -ENOMEM;
  return works ? KernelMseal::works : KernelMseal::missing;
}

// Whether the mseal(2) of a kernel with this release may leave out mappings of a range that merge with a
// sealed neighbour (CVE-2026-23416: mm/mseal.c from 6.17 on). The release does not show whether it was fixed
// there, so this counts until 6.19. Such a kernel does seal a mapping if the call names only that one.
inline bool mseal_may_miss_mappings(std::string_view release) {
  std::uint64_t minor = 0;
  return policy::take(release, "6.") && policy::take_number(release, 10, minor) && minor >= 17 && minor <= 19;
}

// The same for the present kernel.
inline bool mseal_may_miss_mappings() {
  utsname system{};
  return raw_syscall(__NR_uname, &system) != 0 || mseal_may_miss_mappings(system.release);
}

}  // namespace libmseal::shim
