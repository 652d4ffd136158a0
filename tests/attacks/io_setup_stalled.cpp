// io_setup has mapped its ring and writes the number of it to memory whose page faults nobody answers. The
// ring is replaced by the victim, which is sealed. Then the write fails, and the kernel unmaps the ring.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;
using libmseal::policy::Range;

namespace {

// Writes to the page wait.
int stall_writes(char* page) {
  const long faults = raw_syscall(__NR_userfaultfd, O_CLOEXEC);
  if (libmseal::shim::failed(faults)) cannot_call("userfaultfd", faults);
  const int descriptor = static_cast<int>(faults);
  const Range range = Range::of(reinterpret_cast<std::uint64_t>(page), kPage);
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
  uffdio_register area{};
  area.range = {range.start, range.size()};
  area.mode = UFFDIO_REGISTER_MODE_WP;
  uffdio_writeprotect protect{};
  protect.range = area.range;
  protect.mode = UFFDIO_WRITEPROTECT_MODE_WP;
  const bool ready = ::ioctl(descriptor, UFFDIO_API, &api) == 0 &&
                     ::ioctl(descriptor, UFFDIO_REGISTER, &area) == 0 &&
                     ::ioctl(descriptor, UFFDIO_WRITEPROTECT, &protect) == 0;
  return ready ? descriptor : -1;
}

Range ring() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("[aio]") == std::string::npos) continue;
    if (const auto vma = libmseal::policy::parse_maps_line(line)) return vma->range;
  }
  return {};
}

}  // namespace

int main() {
  char* const context = map_at(0, kPage);
  context[0] = 0;
  const int faults = stall_writes(context);
  if (faults < 0) cannot_try("userfaultfd");
  std::thread caller([&] { (void)raw_syscall(__NR_io_setup, 64, context); });
  Range place;
  for (int wait = 0; place.empty() && wait < 200; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    place = ring();
  }
  if (place.empty()) cannot_try("io_setup");
  if (raw_syscall(__NR_munmap, place.start, place.size()) != 0) cannot_try("munmap of the ring");
  char* const victim = map_at(place.start, kPage);
  std::memset(victim, 'v', kPage);
  if (raw_syscall(__NR_mprotect, victim, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  const long answer = seal(victim, kPage);
  (void)raw_syscall(__NR_munmap, context, kPage);
  ::close(faults);
  caller.join();
  if (answer != 0) return nothing_promised(answer);
  const Victim after = Victim::sealed_already(victim, kPage);
  const bool intact = after.intact() && raw_syscall(__NR_madvise, victim, kPage, MADV_NORMAL) == 0;
  std::printf("the page is %s\n", intact ? "unharmed" : "GONE");
  return intact ? kHeld : kBroken;
}
