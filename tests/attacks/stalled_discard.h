// A madvise that has begun before the seal, and waits until somebody hears that it discards pages.
#pragma once

#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/attacks/faults.h"

namespace libmseal::tests {

// `discard(pages, size)` makes the call. It may answer -ENOSYS where the kernel does not have it.
// `seal_pages(at, size)` seals a part of the pages meanwhile, and answers as the kernel does.
template <class Discard, class Seal>
int discard_stalled(Discard discard, Seal seal_pages, std::uint64_t where = 0x5000'0000) {
  const std::size_t kSize = 4 * kPage;
  char* const pages = map_at(where, kSize);
  std::memset(pages, 'v', kSize);
  char* const page = pages + 2 * kPage;
  if (::mprotect(page, 2 * kPage, PROT_READ) != 0) cannot_try("mprotect");
  const int discards = watch_faults(pages, UFFD_FEATURE_EVENT_REMOVE);
  std::atomic<long> answer = 0;
  std::thread caller([&] { answer = discard(pages, kSize); });
  pollfd heard{discards, POLLIN, 0};
  const bool stalled = ::poll(&heard, 1, 500) == 1;
  const Victim victim = Victim::sealed_already(page, kPage);
  const long sealed = seal_pages(page, kPage);
  uffd_msg message{};
  if (stalled && ::read(discards, &message, sizeof message) < 0) cannot_try("read of the userfaultfd");
  caller.join();
  if (answer == -ENOSYS) {
    errno = ENOSYS;
    cannot_try("madvise");
  }
  return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "madvise", answer);
}

template <class Discard>
int discard_stalled(Discard discard) {
  return discard_stalled(discard, seal);
}

inline long discard_by_madvise(char* pages, std::size_t size) {
  return raw_syscall(__NR_madvise, pages, size, MADV_DONTNEED);
}

}  // namespace libmseal::tests
