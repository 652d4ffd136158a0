// PROT_SEAL is asked for so often in vain, and for so much, that a count of it would wrap around to addresses
// below the area where everything is sealed at once.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

char* map_sealed(std::size_t size) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_SEAL, kFlags, -1, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<char*>(mapped);
}

}  // namespace

int main() {
  constexpr std::size_t kHalf = std::size_t{1}
                                << 39;  // all that the range takes, of which the first page is taken
  constexpr long kRound = 1L << (64 - 39);
  if (map_sealed(kPage) == nullptr) cannot_try("mmap(PROT_SEAL)");
  char* mapped = nullptr;
  for (long count = 0; count < kRound && mapped == nullptr; ++count) mapped = map_sealed(kHalf);
  if (mapped == nullptr) mapped = map_sealed(kPage);
  if (mapped == nullptr) return nothing_promised(-errno);
  const Victim victim = Victim::sealed_already(mapped, kPage);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, victim.at(), kPage));
}
