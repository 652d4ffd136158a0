// brk over a heap on whose first pages a file is mapped after the seal was made.
#include "tests/attacks/heap.h"

using namespace libmseal::tests;

namespace {

int attack() {
  const std::uint64_t start = heap_start();
  const std::uint64_t mine = grow_heap(8);
  char* const at = reinterpret_cast<char*>(mine + 4 * kPage);
  std::memset(at, 'v', kPage);
  const long sealed = seal(at, kPage);
  if (sealed == -EAGAIN) return nothing_promised(sealed);
  if (sealed != 0) cannot_try("mseal");
  const Victim victim = Victim::sealed_already(at, kPage);

  // malloc lives there: the file holds what it had, and what is taken away comes back before anybody looks.
  const std::size_t used = mine - start;
  const int file = ::memfd_create("file", 0);
  char* const saved = map_at(0, used);
  std::memcpy(saved, reinterpret_cast<char*>(start), used);
  if (file < 0 || raw_syscall(__NR_write, file, saved, used) != static_cast<long>(used)) cannot_try("a file");
  if (libmseal::shim::failed(
          raw_syscall(__NR_mmap, start, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0))) {
    cannot_try("mmap");
  }
  const long answer = raw_syscall(__NR_brk, start);
  (void)raw_syscall(__NR_brk, mine + 8 * kPage);
  std::memcpy(reinterpret_cast<char*>(start), saved, used);
  return conclude(victim, "brk", answer);
}

}  // namespace

int main() {
  return in_a_thread(attack);
}
