// Programs may be started with standard input, output or error closed. The next file that is opened gets that
// number, and what is said then goes into it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace libmseal::shim {

// Before anything else is opened: those of 0, 1 and 2 that are closed get a file that can't be read or
// written, as if they were closed still. It needs no file system but the root, and closes with exec.
inline void occupy_standard_descriptors() {
  int file = -1;
  do {
    file = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  } while (file >= 0 && file <= STDERR_FILENO);
  if (file >= 0) close(file);
}

}  // namespace libmseal::shim
