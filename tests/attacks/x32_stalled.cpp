// madvise under its number of the x32 ABI has begun before the first seal.
#include "tests/attacks/stalled_discard.h"

using namespace libmseal::tests;

int main() {
  constexpr long kX32 = 0x40000000;
  return discard_stalled([](char* pages, std::size_t size) {
    return raw_syscall(kX32 + __NR_madvise, pages, size, MADV_DONTNEED);
  });
}
