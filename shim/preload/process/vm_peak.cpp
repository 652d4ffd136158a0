#include "shim/preload/process/vm_peak.h"

#include <sys/mman.h>

#include <algorithm>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// At once: of several mappings, others could unmap the first before the last is there.
bool raise_vm_peak(std::uint64_t bytes) {
  constexpr std::uint64_t kLine = 4ULL << 30;
  constexpr std::uint64_t kBelowLibraries = 16 * kLine;  // where the kernel has placed nothing yet
  const auto own = reinterpret_cast<std::uint64_t>(&raise_vm_peak);
  const std::uint64_t hint = bytes < own - kBelowLibraries ? (own - kBelowLibraries - bytes) & -kLine : 0;
  const long mapped =
      raw_syscall(__NR_mmap, hint, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (failed(mapped)) return false;
  // Filters decide a munmap without the supervisor if it does not cross a multiple of 4 GiB.
  const auto start = static_cast<std::uint64_t>(mapped);
  for (std::uint64_t at = start; at < start + bytes;) {
    const std::uint64_t next = std::min((at / kLine + 1) * kLine, start + bytes);
    (void)raw_syscall(__NR_munmap, at, next - at);
    at = next;
  }
  return true;
}

}  // namespace libmseal::shim
