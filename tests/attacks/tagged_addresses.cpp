// Addresses with tag bits, after asking the kernel to ignore them (LAM).
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim text = Victim::text();
  (void)raw_syscall(__NR_arch_prctl, 0x4002, 6);  // ARCH_ENABLE_TAGGED_ADDR
  long answer = 0;
  for (int bit = 57; bit <= 62; ++bit) {
    const std::uint64_t tag = 1ULL << bit;
    answer = raw_syscall(__NR_munmap, victim.address() | tag, victim.size());
    (void)raw_syscall(__NR_mprotect, text.address() | tag, text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    (void)raw_syscall(__NR_madvise, victim.address() | tag, victim.size(), MADV_DONTNEED);
  }
  const int held = conclude(text, "mprotect of tagged text", answer);
  return held == kHeld ? conclude(victim, "munmap of a tagged address", answer) : held;
}
