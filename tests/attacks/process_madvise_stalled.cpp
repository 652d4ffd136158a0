// process_madvise has begun before the first seal, and waits for the list of what to discard.
#include <sys/uio.h>

#include <chrono>
#include <thread>

#include "tests/attacks/faults.h"

using namespace libmseal::tests;

namespace {

void wait_for_fault(int descriptor) {
  uffd_msg message{};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (::read(descriptor, &message, sizeof message) < 0) {
    if (std::chrono::steady_clock::now() > end) cannot_try("a call that waits");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void fill(int descriptor, char* page, const iovec& content) {
  char* const source = map_at(0, kPage);
  std::memcpy(source, &content, sizeof content);
  uffdio_copy copy{};
  copy.dst = reinterpret_cast<std::uint64_t>(page);
  copy.src = reinterpret_cast<std::uint64_t>(source);
  copy.len = kPage;
  if (::ioctl(descriptor, UFFDIO_COPY, &copy) != 0) cannot_try("UFFDIO_COPY");
}

}  // namespace

int main() {
  char* const list = map_at(0, kPage);
  const int faults = watch_faults(list);
  const long self = raw_syscall(__NR_pidfd_open, ::getpid(), 0);
  if (libmseal::shim::failed(self)) cannot_try("pidfd_open");
  long answer = 0;
  std::thread caller([&] { answer = raw_syscall(__NR_process_madvise, self, list, 1, MADV_DONTNEED, 0); });
  wait_for_fault(faults);
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  const Victim victim = Victim::sealed_already(page, kPage);
  const long sealed = seal(page, kPage);
  fill(faults, list, {page, kPage});
  caller.join();
  return sealed != 0 ? nothing_promised(sealed) : conclude(victim, "process_madvise", answer);
}
