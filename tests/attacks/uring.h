// A ring of io_uring that can do one thing: madvise.
#pragma once

#include <linux/io_uring.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

class Uring {
 public:
  explicit Uring(unsigned flags = 0) {
    parameters_.flags = flags;
    ring_ = raw_syscall(__NR_io_uring_setup, 4, &parameters_);
    if (shim::failed(ring_)) return;
    // No more than there is: older kernels map nothing else.
    queue_ = map(parameters_.sq_off.array + parameters_.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    results_ =
        map(parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    entries_ = map(parameters_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  }

  // Its descriptor, or why there is none.
  [[nodiscard]] long ring() const { return ring_; }

  // What the operation came to, or why it could not be asked for.
  long madvise(const Victim& victim, unsigned advice) {
    auto* const entry = reinterpret_cast<io_uring_sqe*>(entries_);
    *entry = {};
    entry->opcode = IORING_OP_MADVISE;
    entry->addr = victim.address();
    entry->len = static_cast<std::uint32_t>(victim.size());
    entry->fadvise_advice = advice;
    *number_at(queue_, parameters_.sq_off.array) = 0;
    __atomic_store_n(number_at(queue_, parameters_.sq_off.tail), 1U, __ATOMIC_RELEASE);
    const long entered =
        raw_syscall(__NR_io_uring_enter, ring_, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 0);
    if (shim::failed(entered)) return entered;
    return reinterpret_cast<io_uring_cqe*>(results_ + parameters_.cq_off.cqes)->res;
  }

 private:
  char* map(std::size_t size, long which) const {
    void* const at =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(ring_), which);
    if (at == MAP_FAILED) cannot_try("mmap of the ring");
    return static_cast<char*>(at);
  }
  static unsigned* number_at(char* where, std::uint32_t offset) {
    return reinterpret_cast<unsigned*>(where + offset);
  }

  io_uring_params parameters_{};
  long ring_ = -1;
  char* queue_ = nullptr;
  char* results_ = nullptr;
  char* entries_ = nullptr;
};

}  // namespace libmseal::tests
