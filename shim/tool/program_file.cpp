#include "shim/tool/program_file.h"

#include <gelf.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "shim/tool/child_output.h"
#include "shim/tool/elf_file.h"

namespace libmseal::tool {
namespace {

bool is_program(const std::string& path) {
  struct stat file {};
  return stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode) && access(path.c_str(), X_OK) == 0;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : "";
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (is_program(candidate)) return candidate;
  }
  return "";
}

// The interpreter of a script; empty if it is not a script.
std::string script_interpreter(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line) || !line.starts_with("#!")) return "";
  std::istringstream words(line.substr(2));
  std::string interpreter;
  words >> interpreter;
  // For `#!/usr/bin/env NAME` it is NAME.
  std::string name;
  if (interpreter.ends_with("/env") && words >> name && name[0] != '-') return find_program(name);
  return interpreter;
}

void read_elf(ProgramFile& program) {
  const ElfFile file(program.path);
  GElf_Ehdr header{};
  program.is_elf = gelf_getehdr(file.get(), &header) != nullptr;
  std::size_t count = 0;
  if (!program.is_elf || elf_getphdrnum(file.get(), &count) != 0) return;
#ifdef __x86_64__
  constexpr int kOurs = EM_X86_64;
#else
  constexpr int kOurs = EM_AARCH64;
#endif
  program.other_machine = header.e_machine != kOurs || header.e_ident[EI_CLASS] != ELFCLASS64;
  for (std::size_t index = 0; index < count; ++index) {
    GElf_Phdr segment{};
    if (gelf_getphdr(file.get(), static_cast<int>(index), &segment) == nullptr) break;
    if (segment.p_type != PT_INTERP) continue;
    std::array<char, 4096> text{};
    const std::size_t size = std::min<std::size_t>(segment.p_filesz, text.size() - 1);
    if (pread(file.descriptor(), text.data(), size, static_cast<off_t>(segment.p_offset)) > 0)
      program.interpreter = text.data();
  }
}

}  // namespace

ProgramFile look_at_program(const std::string& name) {
  ProgramFile program;
  program.path = find_program(name);
  constexpr int kMostScripts = 4;  // as the kernel
  for (int depth = 0; depth < kMostScripts && !program.path.empty(); ++depth) {
    const std::string interpreter = script_interpreter(program.path);
    if (interpreter.empty()) break;
    program.path = is_program(interpreter) ? interpreter : "";
  }
  if (program.path.empty()) return program;
  struct stat file {};
  if (stat(program.path.c_str(), &file) == 0) {
    const bool capable = getxattr(program.path.c_str(), "security.capability", nullptr, 0) > 0;
    program.set_id = (file.st_mode & (S_ISUID | S_ISGID)) != 0 || capable;
  }
  read_elf(program);
  return program;
}

ProgramFile look_at_elf(const std::string& path) {
  ProgramFile file;
  file.path = path;
  read_elf(file);
  return file;
}

std::string why_not_preloaded(const ProgramFile& program) {
  if (!program.is_elf) return "is not an ELF program";
  if (program.other_machine) {
    return "is built for another architecture than libmseal.so, so nothing in it is sealed; build libmseal "
           "for it too";
  }
  if (program.interpreter.empty()) {
    return "is static and ignores LD_PRELOAD, so nothing in it is sealed; with --coverage=all it can call "
           "mseal(2) itself";
  }
  if (program.set_id && geteuid() != 0) {
    return "gains privileges when it starts, so the dynamic linker ignores LD_PRELOAD: run it from the "
           "account that it changes to";
  }
  return "";
}

std::string complaints_of_linker(const ProgramFile& program, const std::string& library) {
  const auto list = [&](int out) {
    setenv("LD_PRELOAD", library.c_str(), 1);
    silence(1);
    dup2(out, 2);
    execl(program.interpreter.c_str(), program.interpreter.c_str(), "--list", program.path.c_str(), nullptr);
    _exit(0);
  };
  const std::string said = output_of_child(list).said;
  // Ignore complaints about the program's own libraries: they will be printed when it runs.
  return said.find("LD_PRELOAD") == std::string::npos ? "" : said;
}

}  // namespace libmseal::tool
