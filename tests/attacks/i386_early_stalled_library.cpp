// Its constructor runs before that of libmseal. A thread of it makes a madvise by int 0x80, with garbage in
// the upper halves of its registers, which waits.
#include "tests/attacks/i386_early_stalled.h"

#include "tests/attacks/int80.h"

using namespace libmseal::tests;

namespace {

StalledDiscard g_discard([](char* pages, std::size_t size) {
  constexpr std::uint32_t kMadvise = 219;
  need_int80();
  return int80_garbage(kMadvise, reinterpret_cast<std::uint64_t>(pages), size, MADV_DONTNEED);
});

}  // namespace

StalledDiscard& early_discard() {
  return g_discard;
}
