// Opens an ELF file. Its name may come from an event and be anything, such as a pipe or an endless device.
#pragma once

#include <fcntl.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "shim/common/no_copy.h"

namespace libmseal::tool {

class ElfFile : shim::NoCopy {
 public:
  explicit ElfFile(const std::string& path)
      : file_(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
    struct stat status {};
    if (file_ < 0 || fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) return;
    if (elf_version(EV_CURRENT) != EV_NONE) elf_ = elf_begin(file_, ELF_C_READ, nullptr);
  }
  ~ElfFile() {
    if (elf_ != nullptr) elf_end(elf_);
    if (file_ >= 0) close(file_);
  }

  // Null if it can't be read; libelf's functions say whether it is an ELF file.
  [[nodiscard]] Elf* get() const { return elf_; }
  [[nodiscard]] int descriptor() const { return file_; }

 private:
  int file_;
  Elf* elf_ = nullptr;
};

}  // namespace libmseal::tool
