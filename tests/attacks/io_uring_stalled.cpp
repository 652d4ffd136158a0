// io_uring_setup has begun before the first seal, and waits for its parameters: there is a ring after the
// seal.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <chrono>
#include <optional>
#include <thread>

#include "tests/attacks/uring.h"

using namespace libmseal::tests;

namespace {

// Page faults there wait until it is filled.
int stall(char* page) {
  const long faults = raw_syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (libmseal::shim::failed(faults)) cannot_try("userfaultfd");
  const int descriptor = static_cast<int>(faults);
  uffdio_api api{};
  api.api = UFFD_API;
  uffdio_register area{};
  area.range = {reinterpret_cast<std::uint64_t>(page), kPage};
  area.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (::ioctl(descriptor, UFFDIO_API, &api) != 0 || ::ioctl(descriptor, UFFDIO_REGISTER, &area) != 0)
    cannot_try("userfaultfd");
  return descriptor;
}

void wait_for_fault(int descriptor) {
  uffd_msg message{};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (::read(descriptor, &message, sizeof message) < 0) {
    if (std::chrono::steady_clock::now() > end) cannot_try("a call that waits");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void fill(int descriptor, char* page) {
  // The kernel's own thread takes what is queued: io_uring_enter is blocked.
  char* const source = map_at(0, kPage);
  reinterpret_cast<io_uring_params*>(source)->flags = IORING_SETUP_SQPOLL;
  uffdio_copy copy{};
  copy.dst = reinterpret_cast<std::uint64_t>(page);
  copy.src = reinterpret_cast<std::uint64_t>(source);
  copy.len = kPage;
  if (::ioctl(descriptor, UFFDIO_COPY, &copy) != 0) cannot_try("UFFDIO_COPY");
}

}  // namespace

int main() {
  char* const parameters = map_at(0, kPage);
  const int faults = stall(parameters);
  std::optional<Uring> ring;
  std::thread caller([&] { ring.emplace(*reinterpret_cast<io_uring_params*>(parameters)); });
  wait_for_fault(faults);
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect");
  const long sealed = seal(page, kPage);
  fill(faults, parameters);
  caller.join();
  if (sealed != 0) return nothing_promised(sealed);
  if (libmseal::shim::failed(ring->ring())) return nothing_promised(ring->ring());
  const Victim victim = Victim::sealed_already(page, kPage);
  const long answer = ring->madvise(victim, MADV_DONTNEED);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  return conclude(victim, "io_uring MADVISE", answer);
}
