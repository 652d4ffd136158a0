// mremap of an ordinary page and one of a huge page behind it: since Linux 6.17 both move at once, and the
// kernel takes a whole huge page at the target. Its sizes may differ by less than a page. `late`: the huge
// page is there before anything is sealed.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  constexpr std::uint64_t kHugePage = 2 << 20;
  constexpr std::uint64_t kSource = 0x2000'0040'0000;
  constexpr std::uint64_t kTarget = 0x2000'0080'0000;
  const auto map_source = [] {
    (void)map_at(kSource - kPage, kPage);
    return raw_syscall(__NR_mmap, kSource, kHugePage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
  };
  const bool early = std::strstr(arguments[0], "before_seal") != nullptr;
  long source = early ? map_source() : 0;
  const Victim victim = Victim::page(kTarget + kHugePage / 2);
  if (!early) source = map_source();
  if (libmseal::shim::failed(source)) return conclude(victim, "mmap(MAP_HUGETLB)", source);
  const auto move = [&](std::uint64_t new_size) {
    const long answer = raw_syscall(__NR_mremap, kSource - kPage, 2 * kPage, new_size,
                                    MREMAP_MAYMOVE | MREMAP_FIXED, kTarget - kPage);
    return conclude(victim, "mremap of two mappings", answer);
  };
  const int held = move(2 * kPage - 1);
  return held == kHeld ? move(2 * kPage) : held;
}
