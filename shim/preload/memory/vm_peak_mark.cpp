#include "shim/preload/memory/vm_peak_mark.h"

#include <sys/mman.h>

#include <cstdint>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

void mark_vm_peak() {
  constexpr std::uint64_t kLeast = 4ULL << 30;
  constexpr std::uint64_t kRandom = (64ULL << 30) - 1;
  std::uint64_t chance = 0;
  if (raw_syscall(__NR_getrandom, &chance, sizeof chance, 0) != static_cast<long>(sizeof chance)) return;
  const std::uint64_t size = kLeast + (chance & kRandom);
  const long mapped =
      raw_syscall(__NR_mmap, 0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!failed(mapped)) (void)raw_syscall(__NR_munmap, mapped, size);
}

}  // namespace libmseal::shim
