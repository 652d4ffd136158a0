// A thread moves the break up and down while a page between the two is sealed: where the break was when the
// seal was asked for tells nothing.
#include <atomic>

#include "shim/common/clock.h"
#include "tests/attacks/heap.h"

using namespace libmseal::tests;

namespace {

constexpr std::size_t kPages = 16;

bool is_mapped(char* at) {
  unsigned char resident = 0;
  return raw_syscall(__NR_mincore, at, kPage, &resident) == 0;
}

int attack() {
  const std::uint64_t base = (set_break(0) + kPage - 1) & -kPage;
  char* const at = reinterpret_cast<char*>(base + 4 * kPage);
  std::atomic<bool> done = false;
  std::thread mover([&] {
    while (!done) {
      (void)set_break(base + kPages * kPage);
      for (int turn = 0; turn < 10'000 && !done; ++turn) std::atomic_signal_fence(std::memory_order_seq_cst);
      (void)set_break(base);
      for (int turn = 0; turn < 10'000 && !done; ++turn) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  long sealed = -ENOMEM;
  for (const libmseal::shim::Deadline end(10'000); sealed != 0 && !end.passed();) sealed = seal(at, kPage);
  done = true;
  mover.join();
  if (sealed != 0) return nothing_promised(sealed);
  if (!is_mapped(at)) {
    std::puts("the sealed page is gone");
    return kBroken;
  }
  (void)set_break(base + kPages * kPage);
  const Victim victim = Victim::sealed_already(at, kPage);
  return conclude(victim, "brk", raw_syscall(__NR_brk, base));
}

}  // namespace

int main() {
  return in_a_thread(attack);
}
