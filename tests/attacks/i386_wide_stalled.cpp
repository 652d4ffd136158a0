// madvise by int 0x80 with garbage in the upper halves of its registers has begun before the seal, and waits
// until somebody hears that it discards pages: /proc shows no call that i386 could have made.
#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/attacks/faults.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint32_t kMadvise = 219;

}  // namespace

int main() {
  need_int80();
  char* const pages = map_at(0x5000'0000, 4 * kPage);
  std::memset(pages, 'v', 4 * kPage);
  char* const page = pages + 2 * kPage;
  if (::mprotect(page, 2 * kPage, PROT_READ) != 0) cannot_try("mprotect");
  const int discards = watch_faults(pages, UFFD_FEATURE_EVENT_REMOVE);
  std::atomic<long> answer = 0;
  std::thread caller([&] {
    answer = int80_garbage(kMadvise, reinterpret_cast<std::uint64_t>(pages), 4 * kPage, MADV_DONTNEED);
  });
  pollfd heard{discards, POLLIN, 0};
  const bool stalled = ::poll(&heard, 1, 500) == 1;
  const Victim victim = Victim::sealed_already(page, kPage);
  const long sealed = seal(page, kPage);
  uffd_msg message{};
  if (stalled && ::read(discards, &message, sizeof message) < 0) cannot_try("read of the userfaultfd");
  caller.join();
  return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "madvise", answer);
}
