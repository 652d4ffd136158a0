#include "shim/preload/memory/vm_peak_mark.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

void mark_vm_peak() {
  static constinit bool is_marked = false;
  if (std::exchange(is_marked, true)) return;
  // Memory that does not cross a multiple of 4 GiB: filters decide its munmap without the supervisor.
  constexpr std::uint64_t kLine = 4ULL << 30;
  constexpr std::uint64_t kLeast = kLine / 4;
  constexpr std::uint64_t kBelowLibraries = 16 * kLine;  // where the kernel has placed nothing yet
  std::uint64_t chance = 0;
  if (raw_syscall(__NR_getrandom, &chance, sizeof chance, 0) != static_cast<long>(sizeof chance)) return;
  const std::uint64_t size = kLeast + chance % (kLine - kLeast);
  const std::uint64_t hint = (reinterpret_cast<std::uint64_t>(&mark_vm_peak) - kBelowLibraries) & -kLine;
  const long mapped =
      raw_syscall(__NR_mmap, hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!failed(mapped)) (void)raw_syscall(__NR_munmap, mapped, size);
}

}  // namespace libmseal::shim
