// Names for places in ELF files: functions and sections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace libmseal::tool {

class Symbols {
 public:
  Symbols();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  // "function+0x12" for a return address that was mapped from `offset` in the file; empty if there is no
  // symbol.
  std::string function_at(const std::string& file, std::uint64_t offset);
  // The section that has this offset in the file; empty if none has.
  std::string section_at(const std::string& file, std::uint64_t offset);
  // Whether what has this offset in the file stays writable in a running program: not text, constants or
  // RELRO.
  bool is_static_data(const std::string& file, std::uint64_t offset);

 private:
  class File;
  File& open_file(const std::string& path);

  std::map<std::string, std::unique_ptr<File>> files_;
};

}  // namespace libmseal::tool
