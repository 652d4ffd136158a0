// Addresses with tag bits, after asking the kernel to ignore them (LAM on x86, TBI on arm64).
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

#ifdef __x86_64__
constexpr int kFirstBit = 57;
constexpr int kLastBit = 62;
void ignore_tags() {
  (void)raw_syscall(__NR_arch_prctl, 0x4002, 6);  // ARCH_ENABLE_TAGGED_ADDR
}
#else
constexpr int kFirstBit = 56;
constexpr int kLastBit = 63;
void ignore_tags() {
  (void)raw_syscall(__NR_prctl, PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0);
}
#endif

}  // namespace

int main() {
  const Victim victim = Victim::page();
  const Victim supervised = Victim::supervised_page();
  ignore_tags();
  long answer = 0;
  for (int bit = kFirstBit; bit <= kLastBit; ++bit) {
    const std::uint64_t tag = 1ULL << bit;
    answer = raw_syscall(__NR_munmap, victim.address() | tag, victim.size());
    (void)raw_syscall(__NR_mprotect, supervised.address() | tag, supervised.size(),
                      PROT_READ | PROT_WRITE | PROT_EXEC);
    (void)raw_syscall(__NR_madvise, victim.address() | tag, victim.size(), MADV_DONTNEED);
  }
  const int held = conclude(supervised, "mprotect of a tagged address", answer);
  return held == kHeld ? conclude(victim, "munmap of a tagged address", answer) : held;
}
