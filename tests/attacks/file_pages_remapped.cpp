// remap_file_pages replaces a sealed shared mapping by another part of its file.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const int file = ::memfd_create("file", 0);
  if (file < 0 || ::ftruncate(file, 4 * kPage) != 0) cannot_try("memfd_create");
  void* const at = ::mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  for (std::size_t page = 0; page < 4; ++page)
    std::memset(static_cast<char*>(at) + page * kPage, 'a' + static_cast<int>(page), kPage);
  const Victim victim(static_cast<char*>(at), 4 * kPage);
  return conclude(victim, "remap_file_pages", raw_syscall(__NR_remap_file_pages, at, kPage, 0, 2, 0));
}
