// One operation of a random sequence on the twins' arena: generated, written down, replayed, shown as C.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace libmseal::tests {

inline constexpr std::uint64_t kArena = 0x10'0000'0000;
inline constexpr std::uint64_t kPage = 4096;
inline constexpr int kPages = 48;

struct Operation {
  enum class Kind : std::uint8_t {
    mmap,
    munmap,
    mprotect,
    pkey_mprotect,
    madvise,
    mremap,
    remap_file_pages,
    shmat,  // of the twins' segment, whatever the first argument
    shmdt,
    mseal,
    fresh,  // puts new memory at page arguments[0], unless that is sealed
    fork,   // the child goes on with what follows
  };

  Kind kind = Kind::fresh;
  bool other_thread = false;  // not by the first thread but by one that was there from the start
  std::array<std::uint64_t, 5> arguments{};
};

std::vector<Operation> generate(std::uint64_t seed, int count);

// "mprotect 0x1000000000 0x1000 0x1", with "~" in front if it is the other thread's.
std::string to_line(const Operation& operation);
std::optional<Operation> parse_line(std::string_view line);

// "mprotect(0x1000000000, 0x1000, 0x1)"
std::string to_text(const Operation& operation);
// A whole program that does the operations and prints what came of each.
std::string to_program(std::span<const Operation> operations);

}  // namespace libmseal::tests
