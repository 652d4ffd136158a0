// A program may be started with standard input, output or error closed. The next file that is opened would
// get that descriptor, and messages would be written into it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace libmseal::shim {

// To be called before anything else is opened. Opens a file that can be neither read nor written on those of
// 0, 1 and 2 that are closed. It needs only the root directory and is closed by exec.
inline void occupy_standard_descriptors() {
  int file = -1;
  do {
    file = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  } while (file >= 0 && file <= STDERR_FILENO);
  if (file >= 0) close(file);
}

}  // namespace libmseal::shim
