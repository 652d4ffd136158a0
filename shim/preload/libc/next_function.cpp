#include "shim/preload/libc/next_function.h"

#include <link.h>

#include <cstdint>

// The dynamic linker's list of objects for debuggers, of glibc and of musl. dl_iterate_phdr(3) and strcmp(3)
// can't be used: a sanitizer may have replaced them, and looks up symbols before its own functions work.
extern const r_debug g_glibc_objects __asm__("_r_debug") __attribute__((weak));
extern const r_debug* const g_musl_objects __asm__("_dl_debug_addr") __attribute__((weak));

namespace libmseal::shim {
namespace {

const link_map* first_object() {
  if (&g_glibc_objects != nullptr) return g_glibc_objects.r_map;
  return &g_musl_objects != nullptr ? g_musl_objects->r_map : nullptr;
}

bool is_same(const char* one, const char* other) {
  while (*one != '\0' && *one == *other) {
    ++one;
    ++other;
  }
  return *one == *other;
}

// The dynamic symbols of one object, found by its hash table (DT_GNU_HASH, which every C library has).
class Symbols {
 public:
  explicit Symbols(const link_map& object) : base_(object.l_addr) {
    for (const ElfW(Dyn)* entry = object.l_ld; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_SYMTAB) symbols_ = at<ElfW(Sym)>(*entry);
      if (entry->d_tag == DT_STRTAB) names_ = at<char>(*entry);
      if (entry->d_tag == DT_GNU_HASH) hashes_ = at<std::uint32_t>(*entry);
      if (entry->d_tag == DT_VERSYM) versions_ = at<ElfW(Half)>(*entry);
    }
  }

  // The symbol of that type (STT_) with the default version; null if there is none.
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
  // glibc relocates these values, musl does not.
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
           is_same(names_ + symbol.st_name, name);
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

// The symbol in the first of these objects that has it; null if none does.
void* find(const link_map* object, const char* name, unsigned char type) {
  for (; object != nullptr; object = object->l_next) {
    if (void* const found = Symbols(*object).find(name, type); found != nullptr) return found;
  }
  return nullptr;
}

}  // namespace

void* find_next_function(const char* name) {
  const link_map* object = first_object();
  while (object != nullptr && object->l_ld != _DYNAMIC) object = object->l_next;
  return object != nullptr ? find(object->l_next, name, STT_FUNC) : nullptr;
}

const void* find_variable(const char* name) {
  return find(first_object(), name, STT_OBJECT);
}

}  // namespace libmseal::shim
