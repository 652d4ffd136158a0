// The kernel was asked to ignore tag bits before the first seal (LAM, x86).
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
#ifdef __x86_64__
  constexpr long kEnable = 0x4002;  // ARCH_ENABLE_TAGGED_ADDR
  const long enabled = raw_syscall(__NR_arch_prctl, kEnable, 6);
  if (enabled != 0) {
    errno = static_cast<int>(-enabled);
    cannot_try("this processor or kernel has no LAM");
  }
  constexpr std::uint64_t kTag = 1ULL << 57;
#else
  constexpr std::uint64_t kTag = 1ULL << 56;
#endif
  const Victim victim = Victim::page();
  const long mapped = raw_syscall(__NR_munmap, victim.address() | kTag, victim.size());
  const int held = conclude(victim, "munmap of a tagged address", mapped);
  const long discarded = raw_syscall(__NR_madvise, victim.address() | kTag, victim.size(), MADV_DONTNEED);
  return worse_of(held, conclude(victim, "madvise of a tagged address", discarded));
}
