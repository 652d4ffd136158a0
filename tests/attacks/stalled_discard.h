// A madvise that has begun before the seal, and waits until somebody hears that it discards pages.
#pragma once

#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/attacks/faults.h"

namespace libmseal::tests {

class StalledDiscard {
 public:
  // `discard(pages, size)` makes the call. It may answer -ENOSYS where the kernel does not have it.
  template <class Discard>
  explicit StalledDiscard(Discard discard, std::uint64_t where = 0x5000'0000)
      : pages_(map_at(where, size())) {
    std::memset(pages_, 'v', size());
    if (::mprotect(page(), 2 * kPage, PROT_READ) != 0) cannot_try("mprotect");
    discards_ = watch_faults(pages_, UFFD_FEATURE_EVENT_REMOVE);
    caller_ = std::thread([this, discard] { answer_ = discard(pages_, size()); });
    pollfd heard{discards_, POLLIN, 0};
    stalled_ = ::poll(&heard, 1, 500) == 1;
  }

  // `seal_pages(at, size)` seals a part of the pages meanwhile, and answers as the kernel does. Then the call
  // goes on.
  template <class Seal>
  int end_after(Seal seal_pages) {
    const Victim victim = Victim::sealed_already(page(), kPage);
    const long sealed = seal_pages(page(), kPage);
    uffd_msg message{};
    if (stalled_ && ::read(discards_, &message, sizeof message) < 0) cannot_try("read of the userfaultfd");
    caller_.join();
    if (answer_ == -ENOSYS) {
      errno = ENOSYS;
      cannot_try("madvise");
    }
    return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "madvise", answer_);
  }

 private:
  static std::size_t size() { return 4 * kPage; }
  [[nodiscard]] char* page() const { return pages_ + 2 * kPage; }

  char* pages_;
  int discards_ = -1;
  bool stalled_ = false;
  std::atomic<long> answer_ = 0;
  std::thread caller_;
};

template <class Discard>
int discard_stalled(Discard discard) {
  return StalledDiscard(discard).end_after(seal);
}

inline long discard_by_madvise(char* pages, std::size_t size) {
  return raw_syscall(__NR_madvise, pages, size, MADV_DONTNEED);
}

}  // namespace libmseal::tests
