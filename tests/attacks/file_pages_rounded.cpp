// remap_file_pages takes an unaligned start and rounds it down.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const int file = ::memfd_create("file", 0);
  if (file < 0 || ::ftruncate(file, 4 * kPage) != 0) cannot_try("memfd_create");
  char* const at =
      static_cast<char*>(::mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  for (std::size_t page = 0; page < 4; ++page)
    std::memset(at + page * kPage, 'a' + static_cast<int>(page), kPage);
  const Victim victim(at, 4 * kPage);
  const long answer = raw_syscall(__NR_remap_file_pages, at + 1, kPage, 0, 2, 0);
  return conclude(victim, "remap_file_pages from the middle of a page", answer);
}
