// A ring of io_uring that can do one thing: madvise.
#pragma once

#include <linux/io_uring.h>
#include <poll.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

class Uring {
 public:
  explicit Uring(unsigned flags = 0) {
    parameters_.flags = flags;
    parameters_.sq_thread_idle = 60'000;  // ms, for which such a thread looks
    ring_ = raw_syscall(__NR_io_uring_setup, 4, &parameters_);
    if (shim::failed(ring_)) return;
    queue_ = map(queue_size(), IORING_OFF_SQ_RING);
    results_ = map(results_size(), IORING_OFF_CQ_RING);
    entries_ = map(entries_size(), IORING_OFF_SQES);
  }

  // Only the descriptor is left: a ring that has got its requests.
  void unmap() const {
    ::munmap(queue_, queue_size());
    ::munmap(results_, results_size());
    ::munmap(entries_, entries_size());
  }

  // Its descriptor, or why there is none.
  [[nodiscard]] long ring() const { return ring_; }

  // What the operation came to, or why it could not be asked for.
  long madvise(const Victim& victim, unsigned advice) {
    *entry_at(0) = madvise_entry(victim, advice);
    *number_at(queue_, parameters_.sq_off.array) = 0;
    __atomic_store_n(number_at(queue_, parameters_.sq_off.tail), 1U, __ATOMIC_RELEASE);
    const long entered =
        raw_syscall(__NR_io_uring_enter, ring_, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 0);
    if (shim::failed(entered)) return entered;
    return reinterpret_cast<io_uring_cqe*>(results_ + parameters_.cq_off.cqes)->res;
  }

  // Has the thread of the kernel that looks for requests (IORING_SETUP_SQPOLL) begin to do so.
  void wake_thread() {
    io_uring_sqe nothing{};
    nothing.opcode = IORING_OP_NOP;
    nothing.fd = -1;
    ask_thread(0, nothing);
    (void)raw_syscall(__NR_io_uring_enter, ring_, 1, 0, IORING_ENTER_SQ_WAKEUP, 0, 0);
    (void)answer_of_thread(0);
  }
  // By that thread, once it looks: no system call tells it.
  long madvise_by_thread(const Victim& victim, unsigned advice) {
    ask_thread(1, madvise_entry(victim, advice));
    return answer_of_thread(1);
  }

  // Once `file` can be read: how many requests the ring has taken, of two, or -errno. No victim need be
  // there.
  long madvise_when_readable(int file, std::uint64_t where, std::size_t size, unsigned advice) {
    io_uring_sqe* const wait = entry_at(0);
    *wait = {};
    wait->opcode = IORING_OP_POLL_ADD;
    wait->flags = IOSQE_IO_LINK;
    wait->fd = file;
    wait->poll_events = POLLIN;
    return enter_before_madvise(where, size, advice);
  }

  // In a second, with the same answer.
  long madvise_later(const Victim& victim, unsigned advice) {
    static __kernel_timespec second{1, 0};
    io_uring_sqe* const wait = entry_at(0);
    *wait = {};
    wait->opcode = IORING_OP_TIMEOUT;
    wait->flags = IOSQE_IO_HARDLINK;
    wait->fd = -1;
    wait->addr = reinterpret_cast<std::uint64_t>(&second);
    wait->len = 1;
    return enter_before_madvise(victim.address(), victim.size(), advice);
  }

 private:
  // Hands over what the first entry says to wait for, and madvise behind it.
  long enter_before_madvise(std::uint64_t where, std::size_t size, unsigned advice) {
    *entry_at(1) = madvise_entry(where, size, advice);
    for (unsigned index = 0; index < 2; ++index) number_at(queue_, parameters_.sq_off.array)[index] = index;
    __atomic_store_n(number_at(queue_, parameters_.sq_off.tail), 2U, __ATOMIC_RELEASE);
    return raw_syscall(__NR_io_uring_enter, ring_, 2, 0, 0, 0, 0);
  }
  void ask_thread(unsigned index, const io_uring_sqe& entry) {
    *entry_at(index) = entry;
    number_at(queue_, parameters_.sq_off.array)[index] = index;
    __atomic_store_n(number_at(queue_, parameters_.sq_off.tail), index + 1, __ATOMIC_RELEASE);
  }
  [[nodiscard]] long answer_of_thread(unsigned index) const {
    for (int moments = 0; moments < 5000; ++moments) {
      if (__atomic_load_n(number_at(results_, parameters_.cq_off.tail), __ATOMIC_ACQUIRE) > index)
        return reinterpret_cast<io_uring_cqe*>(results_ + parameters_.cq_off.cqes)[index].res;
      ::usleep(1000);
    }
    cannot_try("the kernel's thread");
  }
  static io_uring_sqe madvise_entry(const Victim& victim, unsigned advice) {
    return madvise_entry(victim.address(), victim.size(), advice);
  }
  static io_uring_sqe madvise_entry(std::uint64_t where, std::size_t size, unsigned advice) {
    io_uring_sqe entry{};
    entry.opcode = IORING_OP_MADVISE;
    entry.fd = -1;
    entry.addr = where;
    entry.len = static_cast<std::uint32_t>(size);
    entry.fadvise_advice = advice;
    return entry;
  }
  [[nodiscard]] io_uring_sqe* entry_at(std::size_t index) const {
    return reinterpret_cast<io_uring_sqe*>(entries_) + index;
  }
  // No more than there is: older kernels map nothing else.
  [[nodiscard]] std::size_t queue_size() const {
    return parameters_.sq_off.array + parameters_.sq_entries * sizeof(unsigned);
  }
  [[nodiscard]] std::size_t results_size() const {
    return parameters_.cq_off.cqes + parameters_.cq_entries * sizeof(io_uring_cqe);
  }
  [[nodiscard]] std::size_t entries_size() const { return parameters_.sq_entries * sizeof(io_uring_sqe); }
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
