// Inspects the file of a program before it is started.
#pragma once

#include <string>

namespace libmseal::tool {

struct ProgramFile {
  std::string path;         // of the file that the kernel will load; empty: there is none
  std::string interpreter;  // its dynamic linker; empty: static, or no ELF file
  bool is_elf = false;
  bool other_machine = false;  // for another architecture or word size than ours
  bool set_id = false;         // set-user-id, set-group-id or capabilities of its file
};

// Searches the program as execvp does, and follows the #! lines of scripts.
ProgramFile look_at_program(const std::string& name);

// The same for this file, which need not be a program.
ProgramFile look_at_elf(const std::string& path);

// Why the program would not load the library, and what to do about it; empty if it would.
std::string why_not_preloaded(const ProgramFile& program);

// Loads `library` into the program without running it. Returns the dynamic linker's complaints.
std::string complaints_of_linker(const ProgramFile& program, const std::string& library);

}  // namespace libmseal::tool
