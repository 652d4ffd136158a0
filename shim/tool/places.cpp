#include "shim/tool/places.h"

#include <gelf.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>

#include "policy/parsers/elf_note.h"
#include "policy/protocol/layout.h"
#include "shim/tool/elf_file.h"

namespace libmseal::tool {

namespace fs = std::filesystem;

std::string own_program() {
  std::error_code missing;
  const fs::path file = fs::read_symlink("/proc/self/exe", missing);
  if (!missing) return file;
  // The path that was passed to execve, which may be relative: this program has not changed its directory.
  return fs::canonical(reinterpret_cast<const char*>(getauxval(AT_EXECFN)));
}

std::uint32_t layout_of(const std::string& library) {
  const ElfFile file(library);
  std::uint32_t version = 0;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(file.get(), section)) != nullptr;) {
    GElf_Shdr header{};
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_NOTE) continue;
    Elf_Data* const data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    const std::span bytes(static_cast<const std::byte*>(data->d_buf), data->d_size);
    policy::for_each_note(bytes, header.sh_addralign, [&](const policy::ElfNote& note) {
      if (note.name == "libmseal" && note.value.size() == sizeof version)
        std::memcpy(&version, note.value.data(), sizeof version);
    });
  }
  return version;
}

namespace {

std::string of_this_version(const fs::path& library) {
  if (const std::uint32_t layout = layout_of(library); layout != policy::kLayoutVersion) {
    throw std::runtime_error(library.string() + " is of another version (layout " + std::to_string(layout) +
                             ") than this tool (layout " + std::to_string(policy::kLayoutVersion) +
                             "): install both from one build");
  }
  return library;
}

}  // namespace

std::string find_library() {
  const fs::path here = fs::path(own_program()).parent_path();
  const fs::path beside = here / "libmseal.so";
  if (fs::exists(beside)) return of_this_version(beside);
  const fs::path installed = (here / LIBMSEAL_LIBRARY_DIRECTORY / "libmseal.so").lexically_normal();
  if (fs::exists(installed)) return of_this_version(installed);
  throw std::runtime_error("libmseal.so is neither " + beside.string() + " nor " + installed.string() +
                           ": install it, or build the target mseal");
}

std::string supervisor_of(const std::string& library) {
  const fs::path folder = fs::path(library).parent_path();
  const fs::path beside = folder / "mseal-supervisor";
  if (access(beside.c_str(), X_OK) == 0) return beside;
  return (folder / LIBMSEAL_SUPERVISOR_DIRECTORY / "mseal-supervisor").lexically_normal();
}

}  // namespace libmseal::tool
