// Notes of ELF objects: every note lies inside of the bytes.
#include "policy/parsers/elf_note.h"

#include "tests/fuzz/input.h"

using namespace libmseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  policy::for_each_note(bytes, data[0], [&](const policy::ElfNote& note) {
    const auto* const name = reinterpret_cast<const std::byte*>(note.name.data());
    tests::must(name >= bytes.data() && name + note.name.size() <= bytes.data() + bytes.size());
    tests::must(note.value.data() >= bytes.data() &&
                note.value.data() + note.value.size() <= bytes.data() + bytes.size());
    (void)policy::asks_to_be_sealed(note);
    (void)policy::mutable_memory(note, 0x1000);
  });
  return 0;
}
