// Notes of ELF objects, as they lie in memory (elf(5), Elf64_Nhdr).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "policy/rules/range.h"

namespace libmseal::policy {

struct ElfNote {
  std::string_view name;  // without its terminating zero
  std::uint32_t type = 0;
  std::span<const std::byte> value;
};

// Calls visit(note) for each whole note in `bytes`, a segment of that alignment (4 or 8).
template <class Visit>
void for_each_note(std::span<const std::byte> bytes, std::size_t alignment, Visit visit) {
  struct Header {
    std::uint32_t name_size;
    std::uint32_t value_size;
    std::uint32_t type;
  };
  if (alignment != 8) alignment = 4;
  std::size_t at = 0;
  while (bytes.size() - at >= sizeof(Header)) {
    Header header{};
    std::memcpy(&header, bytes.data() + at, sizeof header);
    const std::size_t name = at + sizeof header;
    const std::size_t value = round_up(name + header.name_size, alignment);
    if (value > bytes.size() || header.value_size > bytes.size() - value) return;
    std::string_view text(reinterpret_cast<const char*>(bytes.data() + name), header.name_size);
    if (!text.empty() && text.back() == '\0') text.remove_suffix(1);
    visit(ElfNote{text, header.type, bytes.subspan(value, header.value_size)});
    at = round_up(value + header.value_size, alignment);
    if (at > bytes.size()) return;
  }
}

// Whether the note is a GNU property list with GNU_PROPERTY_MEMORY_SEAL.
inline bool asks_to_be_sealed(const ElfNote& note) {
  constexpr std::uint32_t kPropertyList = 5;  // NT_GNU_PROPERTY_TYPE_0
  constexpr std::uint32_t kMemorySeal = 3;    // GNU_PROPERTY_MEMORY_SEAL
  if (note.name != "GNU" || note.type != kPropertyList) return false;
  std::size_t at = 0;
  while (note.value.size() - at >= 8) {
    std::uint32_t property[2];  // its type and the size of its value
    std::memcpy(property, note.value.data() + at, sizeof property);
    if (property[0] == kMemorySeal) return true;
    const std::size_t next = round_up(at + sizeof property + property[1], 8);
    if (next > note.value.size()) break;
    at = next;
  }
  return false;
}

// The memory that a note of <mseal/mutable.h> describes, given the address of its value; empty for any other
// note.
inline Range mutable_memory(const ElfNote& note, std::uint64_t address) {
  constexpr std::uint32_t kMutable = 1;
  std::int64_t distances[2];  // of start and end, each from the field that holds it
  if (note.name != "mseal" || note.type != kMutable || note.value.size() != sizeof distances) return {};
  std::memcpy(distances, note.value.data(), sizeof distances);
  return {address + static_cast<std::uint64_t>(distances[0]),
          address + sizeof distances[0] + static_cast<std::uint64_t>(distances[1])};
}

}  // namespace libmseal::policy
