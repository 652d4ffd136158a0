// A system call of the i386 ABI from 64-bit code.
#pragma once

#include <csignal>
#include <cstdint>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// Whole registers: the kernel reads their lower halves only.
inline long int80_whole(std::uint32_t number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                        std::uint64_t d, std::uint64_t e) {
  long result = static_cast<long>(number);
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
               : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int>(result);
}

inline long int80(std::uint32_t number, std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d,
                  std::uint32_t e) {
  return int80_whole(number, a, b, c, d, e);
}

inline constexpr std::uint64_t kGarbage = 0x7BAD'5EA1ULL << 32;

// With garbage in the upper halves of all arguments.
inline long int80_garbage(std::uint32_t number, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0,
                          std::uint64_t d = 0, std::uint64_t e = 0) {
  return int80_whole(number, a | kGarbage, b | kGarbage, c | kGarbage, d | kGarbage, e | kGarbage);
}

// A kernel without the i386 ABI kills a process that makes such a call.
inline void need_int80() {
  struct sigaction before {};
  struct sigaction fatal {};
  fatal.sa_handler = [](int) {
    constexpr char kWhy[] = "int 0x80: this kernel has no i386 system calls\n";
    (void)!::write(STDOUT_FILENO, kWhy, sizeof kWhy - 1);
    ::_exit(kCannotTry);
  };
  ::sigaction(SIGSEGV, &fatal, &before);
  if (int80(20, 0, 0, 0, 0, 0) != ::getpid()) cannot_try("int 0x80");
  ::sigaction(SIGSEGV, &before, nullptr);
}

}  // namespace libmseal::tests
