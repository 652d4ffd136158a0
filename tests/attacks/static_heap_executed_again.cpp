// The same in a program that has executed itself, whose first image has sealed another mapping there.
#include "tests/attacks/again.h"
#include "tests/attacks/large_heap.h"

using namespace libmseal::tests;

int main(int, char** arguments) {
  const std::uint64_t start = present_break();
  const std::uint64_t page = page_beyond_terabyte(start);
  be_second_image(arguments, {page});
  grow_heap_over(page);
  std::memset(reinterpret_cast<char*>(page), 'v', kPage);
  return seal_and_shrink_heap(page, start);
}
