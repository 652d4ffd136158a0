#include "policy/parsers/elf_note.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

void append(std::vector<std::byte>& bytes, const void* data, std::size_t size, std::size_t alignment) {
  const auto* const from = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), from, from + size);
  while (bytes.size() % alignment != 0) bytes.push_back(std::byte{0});
}

template <class Value>
std::vector<std::byte> note(const char* name, std::uint32_t type, const Value& value,
                            std::size_t alignment = 4) {
  std::vector<std::byte> bytes;
  const std::uint32_t header[] = {static_cast<std::uint32_t>(std::string(name).size() + 1),
                                  static_cast<std::uint32_t>(sizeof value), type};
  append(bytes, header, sizeof header, 4);
  append(bytes, name, header[0], alignment);
  append(bytes, &value, sizeof value, alignment);
  return bytes;
}

std::vector<ElfNote> notes_in(std::span<const std::byte> bytes, std::size_t alignment = 4) {
  std::vector<ElfNote> notes;
  for_each_note(bytes, alignment, [&](const ElfNote& one) { notes.push_back(one); });
  return notes;
}

TEST_CASE("notes are found one after the other, and what is cut off is none") {
  std::vector<std::byte> bytes = note("GNU", 3, std::uint32_t{7});
  const std::vector<std::byte> second = note("mseal", 1, std::uint64_t{9});
  bytes.insert(bytes.end(), second.begin(), second.end());
  REQUIRE(notes_in(bytes).size() == 2);
  CHECK(notes_in(bytes)[0].name == "GNU");
  CHECK(notes_in(bytes)[1].name == "mseal");
  CHECK(notes_in(bytes)[1].value.size() == 8);
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(notes_in({bytes.data(), size}).size() < 2);
}

TEST_CASE("GNU_PROPERTY_MEMORY_SEAL is found among other properties") {
  // IBT and SHSTK, then the seal, which has no value
  const std::uint32_t with_seal[] = {0xC0000002, 4, 3, 0, 3, 0};
  const std::uint32_t without[] = {0xC0000002, 4, 3, 0};
  const auto asks = [](const std::vector<std::byte>& bytes) {
    return asks_to_be_sealed(notes_in(bytes, 8).at(0));
  };
  CHECK(asks(note("GNU", 5, with_seal, 8)));
  CHECK_FALSE(asks(note("GNU", 5, without, 8)));
  CHECK_FALSE(asks(note("GNU", 4, with_seal, 8)));
  CHECK_FALSE(asks(note("Go", 5, with_seal, 8)));
  const std::uint32_t cut[] = {0xC0000002, 4000};
  CHECK_FALSE(asks(note("GNU", 5, cut, 8)));
}

TEST_CASE("a note of mutable memory counts from its own fields") {
  const std::int64_t distances[] = {0x1000, -8 + 0x3000};
  const std::vector<std::byte> bytes = note("mseal", 1, distances);
  CHECK(mutable_memory(notes_in(bytes).at(0), 0x10000) == Range{0x11000, 0x13000});
  const std::vector<std::byte> other = note("mseal", 2, distances);
  CHECK(mutable_memory(notes_in(other).at(0), 0x10000).empty());
}

}  // namespace
}  // namespace libmseal::policy
