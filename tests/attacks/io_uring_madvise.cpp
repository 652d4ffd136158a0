// io_uring's IORING_OP_MADVISE is a madvise that passes no filter.
#include <linux/io_uring.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  io_uring_params parameters{};
  const long ring = raw_syscall(__NR_io_uring_setup, 4, &parameters);
  if (libmseal::shim::failed(ring)) return conclude(victim, "io_uring_setup", ring);
  // No more than there is: older kernels map nothing else.
  const std::size_t queue_size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
  const std::size_t entries_size = parameters.sq_entries * sizeof(io_uring_sqe);
  char* const queue = static_cast<char*>(::mmap(nullptr, queue_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                                                static_cast<int>(ring), IORING_OFF_SQ_RING));
  auto* const entries = static_cast<io_uring_sqe*>(::mmap(
      nullptr, entries_size, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(ring), IORING_OFF_SQES));
  if (queue == MAP_FAILED || entries == MAP_FAILED) cannot_try("mmap of the ring");
  entries[0] = {};
  entries[0].opcode = IORING_OP_MADVISE;
  entries[0].addr = victim.address();
  entries[0].len = static_cast<std::uint32_t>(victim.size());
  entries[0].fadvise_advice = MADV_DONTNEED;
  reinterpret_cast<unsigned*>(queue + parameters.sq_off.array)[0] = 0;
  __atomic_store_n(reinterpret_cast<unsigned*>(queue + parameters.sq_off.tail), 1U, __ATOMIC_RELEASE);
  const long answer = raw_syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
  return conclude(victim, "io_uring MADVISE", answer);
}
