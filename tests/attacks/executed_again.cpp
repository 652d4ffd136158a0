// A program executes itself and has the same addresses as before. It seals something else where its first
// image has sealed a page.
#include "tests/attacks/again.h"
#include "tests/attacks/successor.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  constexpr std::uint64_t kSegment = 0x2000'0000;
  constexpr std::uint64_t kMoved = 0x2100'0000;
  be_second_image(arguments, {kSegment, kMoved});
  return worse_of(seal_and_detach_segment(kSegment), seal_and_discard(kMoved));
}
