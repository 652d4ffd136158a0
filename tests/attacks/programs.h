// Other programs of the same tree, started one after the other.
#pragma once

#include "policy/control.h"
#include "tests/attacks/attack.h"

namespace libmseal::tests {

// Under the library, as this one: the supervisor gets to know an image more.
inline void run_program(const char* path = "/bin/true") {
  const int child = ::fork();
  if (child == 0) {
    ::execl(path, path, nullptr);
    ::_exit(126);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

// A child that says one thing to the supervisor, which so gets to know a process more, and ends.
inline void make_known() {
  using policy::Control;
  const int child = ::fork();
  if (child == 0) {
    const auto page = reinterpret_cast<std::uint64_t>(&make_known) & -kPage;
    const auto said = policy::encode({Control::Kind::prepare, {policy::Range::of(page, kPage), false, 0}});
    raw_syscall(policy::kMsealNumber, said[0], said[1], said[2], said[3], said[4], said[5]);
    ::_exit(0);
  }
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace libmseal::tests
