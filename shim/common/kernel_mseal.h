// Whether this kernel has mseal(2).
#pragma once

#include <cerrno>
#include <cstdint>

#include "policy/rules/abi.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

enum class KernelMseal : std::uint8_t {
  works,
  refused,  // by a container's profile
  missing,
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

}  // namespace libmseal::shim
