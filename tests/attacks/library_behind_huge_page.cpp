// A mapping of huge pages below the lowest library, which is sealed at start. mremap makes it smaller, with
// an old size that ends before the library: the kernel unmaps up to the end of a huge page, with the library
// and others in it (mm/mremap.c, align_hugetlb and shrink_vma).
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kHugePage = 2 << 20;

libmseal::policy::Range lowest_library() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(".so") == std::string::npos) continue;
    if (const auto vma = libmseal::policy::parse_maps_line(line)) return vma->range;
  }
  errno = ENOENT;
  cannot_try("a library");
}

// The process has no libraries afterwards: system calls only.
[[noreturn]] void map_and_shrink(std::uint64_t end, std::uint64_t library) {
  const std::uint64_t place = end - kHugePage;
  const long mapped =
      raw_syscall(__NR_mmap, place, kHugePage, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (!libmseal::shim::failed(mapped))
    (void)raw_syscall(__NR_mremap, place, kHugePage + kPage, kHugePage, 0, 0);
  unsigned char there = 0;
  const long gone = raw_syscall(__NR_mincore, library, kPage, &there);
  while (true) raw_syscall(__NR_exit_group, gone == 0 ? kHeld : kBroken);
}

}  // namespace

int main(int, char** arguments) {
  const std::uint64_t library = lowest_library().start;
  const std::uint64_t end = library & -kHugePage;                   // of the mapping of huge pages
  if (library - end < kPage) ::execv("/proc/self/exe", arguments);  // to other random addresses
  const pid_t child = ::fork();
  if (child == 0) map_and_shrink(end, library);
  const int outcome = outcome_of(child);
  std::printf("the library is %s\n", outcome == kHeld ? "unharmed" : "CHANGED");
  return outcome;
}
