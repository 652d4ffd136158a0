// Every i386 call by int 0x80, on a victim below 4 GiB.
#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  const Victim victim = Victim::page(0x2000'0000);
  const auto at = static_cast<std::uint32_t>(victim.address());
  auto* const memory = reinterpret_cast<std::uint32_t*>(map_at(0x2100'0000, kPage));
  long answer = int80(91, at, kPage, 0, 0, 0);  // munmap
  answer = answer == -EPERM ? int80(125, at, kPage, PROT_READ | PROT_WRITE, 0, 0) : answer;
  answer = answer == -EPERM ? int80(163, at, kPage, 2 * kPage, MREMAP_MAYMOVE, 0) : answer;
  answer = answer == -EPERM ? int80(219, at, kPage, MADV_DONTNEED, 0, 0) : answer;
  answer = answer == -EPERM ? int80(380, at, kPage, PROT_READ | PROT_WRITE, ~0U, 0) : answer;
  answer = answer == -EPERM ? int80(192, at, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                    static_cast<std::uint32_t>(-1))
                            : answer;
  // old_mmap: all six behind a pointer
  const std::uint32_t arguments[6] = {at, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0U, 0};
  std::memcpy(memory, arguments, sizeof arguments);
  const long old_mmap = int80(90, 0x2100'0000, 0, 0, 0, 0);
  if (!libmseal::shim::failed(old_mmap)) answer = old_mmap;
  return conclude(victim, "int 0x80", answer);
}
