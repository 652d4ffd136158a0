#include "shim/preload/next_function.h"

#include <link.h>

#include <cstdint>
#include <cstring>

#include "shim/preload/own_object.h"

namespace libmseal::shim {
namespace {

// The dynamic symbols of one object, by its table of hashes (DT_GNU_HASH, which every C library has).
class Symbols {
 public:
  explicit Symbols(const dl_phdr_info& object) : base_(object.dlpi_addr) {
    for (std::size_t index = 0; index < object.dlpi_phnum; ++index) {
      const ElfW(Phdr)& header = object.dlpi_phdr[index];
      if (header.p_type == PT_DYNAMIC)
        read(reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + header.p_vaddr));
    }
  }

  // Of that type (STT_) and of the default version; null if there is none.
  [[nodiscard]] void* find(const char* name, unsigned char type) const {
    if (symbols_ == nullptr || names_ == nullptr || hashes_ == nullptr) return nullptr;
    const std::uint32_t wanted = hash(name);
    const std::uint32_t bucket_count = hashes_[0];
    const std::uint32_t first_symbol = hashes_[1];
    const std::uint32_t filter_words = hashes_[2] * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
    const std::uint32_t* const buckets = hashes_ + 4 + filter_words;
    const std::uint32_t* const chains = buckets + bucket_count;
    if (bucket_count == 0) return nullptr;
    std::uint32_t index = buckets[wanted % bucket_count];
    if (index < first_symbol) return nullptr;
    for (;; ++index) {
      const std::uint32_t entry = chains[index - first_symbol];
      if ((entry | 1) == (wanted | 1) && is_it(index, name, type))
        return reinterpret_cast<void*>(base_ + symbols_[index].st_value);
      if ((entry & 1) != 0) return nullptr;  // the last of the chain
    }
  }

 private:
  void read(const ElfW(Dyn) * entry) {
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_SYMTAB) symbols_ = at<ElfW(Sym)>(*entry);
      if (entry->d_tag == DT_STRTAB) names_ = at<char>(*entry);
      if (entry->d_tag == DT_GNU_HASH) hashes_ = at<std::uint32_t>(*entry);
      if (entry->d_tag == DT_VERSYM) versions_ = at<ElfW(Half)>(*entry);
    }
  }

  // glibc has turned these values into addresses, musl has not.
  template <class T>
  const T* at(const ElfW(Dyn) & entry) const {
    const ElfW(Addr) value = entry.d_un.d_ptr;
    return reinterpret_cast<const T*>(value < base_ ? base_ + value : value);
  }

  [[nodiscard]] bool is_it(std::uint32_t index, const char* name, unsigned char type) const {
    constexpr ElfW(Half) kHidden = 0x8000;  // not the default version
    const ElfW(Sym)& symbol = symbols_[index];
    const bool hidden = versions_ != nullptr && (versions_[index] & kHidden) != 0;
    return !hidden && symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == type &&
           std::strcmp(names_ + symbol.st_name, name) == 0;
  }

  static std::uint32_t hash(const char* name) {
    std::uint32_t value = 5381;
    for (; *name != '\0'; ++name) value = value * 33 + static_cast<unsigned char>(*name);
    return value;
  }

  ElfW(Addr) base_;
  const ElfW(Sym) * symbols_ = nullptr;
  const char* names_ = nullptr;
  const std::uint32_t* hashes_ = nullptr;
  const ElfW(Half) * versions_ = nullptr;
};

struct Search {
  const char* name;
  unsigned char type;
  bool behind_own;
  void* found = nullptr;
};

int visit(dl_phdr_info* object, std::size_t size, void* data) {
  (void)size;
  auto& search = *static_cast<Search*>(data);
  if (!search.behind_own) {
    search.behind_own = is_own_object(*object);
    return 0;
  }
  search.found = Symbols(*object).find(search.name, search.type);
  return search.found != nullptr ? 1 : 0;
}

}  // namespace

void* find_next_function(const char* name) {
  Search search{name, STT_FUNC, false};
  dl_iterate_phdr(visit, &search);
  return search.found;
}

const void* find_variable(const char* name) {
  Search search{name, STT_OBJECT, true};
  dl_iterate_phdr(visit, &search);
  return search.found;
}

}  // namespace libmseal::shim
