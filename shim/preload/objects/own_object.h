// Finds this library among the loaded objects.
#pragma once

#include <link.h>

#include <cstdint>
#include <span>

namespace libmseal::shim {

inline std::span<const ElfW(Phdr)> headers_of(const dl_phdr_info& object) {
  return {object.dlpi_phdr, object.dlpi_phnum};
}

inline bool is_own_object(const dl_phdr_info& object) {
  const auto own = reinterpret_cast<std::uint64_t>(&is_own_object);
  for (const auto& header : headers_of(object)) {
    const std::uint64_t start = object.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && start <= own && own < start + header.p_memsz) return true;
  }
  return false;
}

// Its path in the dynamic linker's list; empty if not known.
inline const char* own_path() {
  const char* path = "";
  const auto visit = [](dl_phdr_info* object, std::size_t, void* data) {
    if (!is_own_object(*object)) return 0;
    if (object->dlpi_name != nullptr) *static_cast<const char**>(data) = object->dlpi_name;
    return 1;
  };
  dl_iterate_phdr(visit, &path);
  return path;
}

}  // namespace libmseal::shim
