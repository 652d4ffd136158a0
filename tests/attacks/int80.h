// A system call of the i386 ABI from 64-bit code.
#pragma once

#include <cstdint>

namespace libmseal::tests {

inline long int80(std::uint32_t number, std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d,
                  std::uint32_t e) {
  long result = static_cast<long>(number);
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(static_cast<long>(a)), "c"(static_cast<long>(b)), "d"(static_cast<long>(c)),
                 "S"(static_cast<long>(d)), "D"(static_cast<long>(e))
               : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int>(result);
}

}  // namespace libmseal::tests
