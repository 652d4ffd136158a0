// A file of huge pages from a file system of its own: neither a flag nor memfd_create shows it.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// -1 if it can't be had.
inline int huge_page_file() {
  char folder[] = "/tmp/libmseal-huge-XXXXXX";
  if (::mkdtemp(folder) == nullptr) cannot_try("a folder");
  const bool mounted = ::mount("none", folder, "hugetlbfs", 0, "pagesize=2M") == 0;
  const int file = mounted ? ::open((std::string(folder) + "/file").c_str(), O_RDWR | O_CREAT, 0600) : -1;
  const int error = errno;
  if (mounted) ::umount2(folder, MNT_DETACH);
  ::rmdir(folder);
  errno = error;
  return file;
}

}  // namespace libmseal::tests
