#include "shim/tool/symbols.h"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>

#include <algorithm>

#include "shim/tool/address_space.h"
#include "shim/tool/elf_file.h"

namespace libmseal::tool {
namespace {

// Also looks for separate debug files, where Debian puts them.
char* g_debug_path = nullptr;
const Dwfl_Callbacks kCallbacks{dwfl_build_id_find_elf, dwfl_standard_find_debuginfo,
                                dwfl_offline_section_address, &g_debug_path};

constexpr std::uint64_t kPage = 4096;

}  // namespace

class Symbols::File : shim::NoCopy {
 public:
  explicit File(const std::string& path) : file_(path) {
    if (file_.get() == nullptr) return;
    dwfl_ = dwfl_begin(&kCallbacks);
    if (dwfl_ == nullptr) return;
    module_ = dwfl_report_offline(dwfl_, path.c_str(), path.c_str(), -1);
    dwfl_report_end(dwfl_, nullptr, nullptr);
  }
  ~File() {
    if (dwfl_ != nullptr) dwfl_end(dwfl_);
  }

  std::string function_at(std::uint64_t offset) {
    std::uint64_t address = 0;
    if (module_ == nullptr || !address_of(offset, address)) return "";
    GElf_Addr bias = 0;
    (void)dwfl_module_getelf(module_, &bias);
    GElf_Off distance = 0;
    GElf_Sym symbol{};
    // A return address belongs to the call before it.
    const char* const name =
        dwfl_module_addrinfo(module_, address + bias - 1, &distance, &symbol, nullptr, nullptr, nullptr);
    if (name == nullptr) return "";
    const std::unique_ptr<char, void (*)(void*)> readable(
        abi::__cxa_demangle(name, nullptr, nullptr, nullptr), std::free);
    return (readable ? readable.get() : name) + ("+0x" + hex(distance + 1));
  }

  std::string section_at(std::uint64_t offset) const {
    std::string holding;
    std::string on_page;
    for_each_section([&](const GElf_Shdr& header, const char* name) {
      if (header.sh_type == SHT_NOBITS) return;
      const bool holds = offset >= header.sh_offset && offset < header.sh_offset + header.sh_size;
      if (holds && holding.empty()) holding = name;
      // Seals consist of whole pages: a section that begins on the page counts, too.
      const bool begins = header.sh_offset >= offset && header.sh_offset < offset + kPage;
      if (begins && on_page.empty()) on_page = name;
    });
    return holding.empty() ? on_page : holding;
  }

  std::vector<Section> sections_of(std::uint64_t offset, std::uint64_t address) const {
    std::vector<Section> sections;
    std::uint64_t linked = 0;
    if (!address_of(offset, linked, kPage)) return {};
    for_each_section([&](const GElf_Shdr& header, const char* name) {
      if (header.sh_type == SHT_NOBITS && (header.sh_flags & SHF_TLS) != 0) return;  // a template
      const std::uint64_t start = header.sh_addr - linked + address;
      if (start + header.sh_size > start) sections.push_back({name, {start, start + header.sh_size}});
    });
    std::ranges::sort(sections, {}, policy::start_of);
    return sections;
  }

  bool is_static_data(std::uint64_t offset) const {
    GElf_Phdr segment{};
    return find_segment(PT_LOAD, offset, segment) && (segment.p_flags & PF_W) != 0 &&
           !find_segment(PT_GNU_RELRO, offset, segment);
  }

 private:
  // Calls visit(header, name) for each section that takes memory.
  template <class Visit>
  void for_each_section(Visit visit) const {
    std::size_t names = 0;
    if (elf_getshdrstrndx(file_.get(), &names) != 0) return;
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(file_.get(), section)) != nullptr;) {
      GElf_Shdr header{};
      if (gelf_getshdr(section, &header) == nullptr) continue;
      if ((header.sh_flags & SHF_ALLOC) == 0 || header.sh_size == 0) continue;
      const char* const name = elf_strptr(file_.get(), names, header.sh_name);
      if (name != nullptr) visit(header, name);
    }
  }

  // The segment of that type that contains the offset, if it begins at a multiple of `alignment`.
  bool find_segment(std::uint32_t type, std::uint64_t offset, GElf_Phdr& segment,
                    std::uint64_t alignment = 1) const {
    std::size_t count = 0;
    if (elf_getphdrnum(file_.get(), &count) != 0) return false;
    for (std::size_t index = 0; index < count; ++index) {
      if (gelf_getphdr(file_.get(), static_cast<int>(index), &segment) == nullptr || segment.p_type != type)
        continue;
      const std::uint64_t first = segment.p_offset - segment.p_offset % alignment;
      if (offset >= first && offset < segment.p_offset + segment.p_filesz) return true;
    }
    return false;
  }

  bool address_of(std::uint64_t offset, std::uint64_t& address, std::uint64_t alignment = 1) const {
    GElf_Phdr segment{};
    if (!find_segment(PT_LOAD, offset, segment, alignment)) return false;
    address = segment.p_vaddr - segment.p_offset + offset;
    return true;
  }

  ElfFile file_;
  Dwfl* dwfl_ = nullptr;
  Dwfl_Module* module_ = nullptr;
};

Symbols::Symbols() = default;
Symbols::~Symbols() = default;

Symbols::File& Symbols::open_file(const std::string& path) {
  constexpr std::size_t kMostOpen = 64;
  if (files_.size() >= kMostOpen && !files_.contains(path)) files_.clear();
  auto& file = files_[path];
  if (!file) file = std::make_unique<File>(path);
  return *file;
}

std::string Symbols::function_at(const std::string& file, std::uint64_t offset) {
  return file.starts_with('/') ? open_file(file).function_at(offset) : "";
}

std::string Symbols::section_at(const std::string& file, std::uint64_t offset) {
  return file.starts_with('/') ? open_file(file).section_at(offset) : "";
}

bool Symbols::is_static_data(const std::string& file, std::uint64_t offset) {
  return file.starts_with('/') && open_file(file).is_static_data(offset);
}

std::vector<Section> Symbols::sections_of(const std::string& file, std::uint64_t offset,
                                          std::uint64_t address) {
  return file.starts_with('/') ? open_file(file).sections_of(offset, address) : std::vector<Section>();
}

}  // namespace libmseal::tool
