// userfaultfd decides what a page of sealed memory holds that was never touched.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const at = map_at(0, kPage);
  if (::mseal(at, kPage, 0) != 0) cannot_try("mseal");
  const long faults = raw_syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  bool placed = false;
  if (!libmseal::shim::failed(faults)) {
    uffdio_api api{};
    api.api = UFFD_API;
    uffdio_register area{};
    area.range = {reinterpret_cast<std::uint64_t>(at), kPage};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    static char source[2 * kPage];
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
