// By userfaultfd, the program decides what a sealed page holds that was never touched.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// By the system call, else by the device, which kernels since 6.1 have.
long new_userfault() {
  const long by_call = raw_syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (!libmseal::shim::failed(by_call)) return by_call;
  constexpr unsigned long kNew = 0xAA00;  // USERFAULTFD_IOC_NEW
  const int device = ::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (device < 0) return by_call;
  return raw_syscall(__NR_ioctl, device, kNew, O_CLOEXEC | O_NONBLOCK);
}

}  // namespace

int main() {
  char* const at = map_at(0, kPage);
  if (::mseal(at, kPage, 0) != 0) cannot_try("mseal");
  const long faults = new_userfault();
  bool placed = false;
  if (!libmseal::shim::failed(faults)) {
    uffdio_api api{};
    api.api = UFFD_API;
    uffdio_register area{};
    area.range = {reinterpret_cast<std::uint64_t>(at), kPage};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    static char source[2 * kLargestPage];
    std::memset(source, 'x', sizeof source);
    uffdio_copy copy{};
    copy.dst = reinterpret_cast<std::uint64_t>(at);
    copy.src = (reinterpret_cast<std::uint64_t>(source) + kPage - 1) & -kPage;
    copy.len = kPage;
    const int descriptor = static_cast<int>(faults);
    placed = ::ioctl(descriptor, UFFDIO_API, &api) == 0 && ::ioctl(descriptor, UFFDIO_REGISTER, &area) == 0 &&
             ::ioctl(descriptor, UFFDIO_COPY, &copy) == 0;
  }
  std::printf("userfaultfd answered %ld; the page is %s\n", faults, placed ? "FILLED" : "unharmed");
  return placed ? kBroken : kHeld;
}
