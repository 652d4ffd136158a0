// Other programs of the same tree, started one after the other.
#pragma once

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

}  // namespace libmseal::tests
