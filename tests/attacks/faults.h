// A page on which the kernel waits for this program, by userfaultfd.
#pragma once

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// A thread that touches the page while nothing is there waits; with UFFD_FEATURE_EVENT_REMOVE, also one that
// discards it.
// The descriptor, which does not block.
inline int watch_faults(char* page, std::uint64_t features = 0) {
  const long faults = raw_syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (shim::failed(faults)) cannot_call("userfaultfd", faults);
  const int descriptor = static_cast<int>(faults);
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = features;
  uffdio_register area{};
  area.range = {reinterpret_cast<std::uint64_t>(page), kPage};
  area.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (::ioctl(descriptor, UFFDIO_API, &api) != 0 || ::ioctl(descriptor, UFFDIO_REGISTER, &area) != 0)
    cannot_try("userfaultfd");
  return descriptor;
}

}  // namespace libmseal::tests
