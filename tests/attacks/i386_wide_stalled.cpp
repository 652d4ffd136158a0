// madvise by int 0x80 with garbage in the upper halves of its registers has begun before the seal: /proc
// shows no call that i386 could have made.
#include "tests/attacks/int80.h"
#include "tests/attacks/stalled_discard.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kMadvise = 219;
  return discard_stalled([](char* pages, std::size_t size) {
    return int80_garbage(kMadvise, reinterpret_cast<std::uint64_t>(pages), size, MADV_DONTNEED);
  });
}
