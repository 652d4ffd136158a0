// A library for uselib(2), which maps a file where the file says, and clears memory behind it.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// The name of a file that is mapped at `where`, with three more pages that are cleared.
inline std::string library_at(std::uint64_t where) {
  char name[] = "/tmp/libmseal-library-XXXXXX";
  const int file = ::mkstemp(name);
  if (file < 0) cannot_try("a file");
  struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    char rest[4096 - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr)];
  } image{};
  std::memcpy(image.header.e_ident, "\177ELF\2\1\1", 7);
  image.header.e_type = ET_EXEC;
  image.header.e_machine = EM_X86_64;
  image.header.e_version = EV_CURRENT;
  image.header.e_phoff = sizeof image.header;
  image.header.e_ehsize = sizeof image.header;
  image.header.e_phentsize = sizeof image.segment;
  image.header.e_phnum = 1;
  image.segment = {PT_LOAD, PF_R | PF_X, 0, where, where, sizeof image, 4 * kPage, kPage};
  const bool written = ::write(file, &image, sizeof image) == static_cast<ssize_t>(sizeof image);
  ::fchmod(file, 0755);
  ::close(file);
  if (!written) cannot_try("write");
  return name;
}

}  // namespace libmseal::tests
