// Names for places in ELF files: functions and sections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/rules/range.h"
#include "shim/common/no_copy.h"

namespace libmseal::tool {

struct Section {
  std::string name;
  policy::Range range;  // of addresses
};

class Symbols : shim::NoCopy {
 public:
  Symbols();
  ~Symbols();

  // "function+0x12" for the return address at `offset` in the file; empty if there is no symbol.
  std::string function_at(const std::string& file, std::uint64_t offset);
  // The section at `offset` in the file; empty if there is none.
  std::string section_at(const std::string& file, std::uint64_t offset);
  // Whether `offset` in the file is data that stays writable: not text, constants or RELRO.
  bool is_static_data(const std::string& file, std::uint64_t offset);

  // The sections in the memory of a program that maps the file from `offset` on at `address`, in order.
  std::vector<Section> sections_of(const std::string& file, std::uint64_t offset, std::uint64_t address);

 private:
  class File;
  File& open_file(const std::string& path);

  std::map<std::string, std::unique_ptr<File>> files_;
};

}  // namespace libmseal::tool
