// brk over a heap whose first page was missing when the seal was made.
#include "tests/attacks/heap.h"

using namespace libmseal::tests;

namespace {

int attack() {
  const std::uint64_t start = heap_start();
  const std::uint64_t mine = grow_heap(8);
  char* const at = reinterpret_cast<char*>(mine + 4 * kPage);
  std::memset(at, 'v', kPage);

  // malloc lives there: what is taken away comes back before anybody looks.
  const std::size_t used = mine - start;
  char* const saved = map_at(0, used);
  std::memcpy(saved, reinterpret_cast<char*>(start), used);
  if (raw_syscall(__NR_munmap, start, kPage) != 0) cannot_try("munmap of the first page");
  const long sealed = seal(at, kPage);
  (void)raw_syscall(__NR_mmap, start, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                    -1, 0);
  std::memcpy(reinterpret_cast<char*>(start), saved, kPage);
  if (sealed != 0) return nothing_promised(sealed);

  const Victim victim(at, kPage);
  std::memcpy(saved, reinterpret_cast<char*>(start), used);
  const long answer = raw_syscall(__NR_brk, start);
  (void)raw_syscall(__NR_brk, mine + 8 * kPage);
  std::memcpy(reinterpret_cast<char*>(start), saved, used);
  return conclude(victim, "brk", answer);
}

}  // namespace

int main() {
  return in_a_thread(attack);
}
