// A fork without the library's table of seals, which maps a table of its own in the same place.
#include "tests/attacks/programs.h"

using namespace libmseal::tests;

namespace {

// Where the table is; empty if there is none.
libmseal::policy::Range table() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("libmseal-table") == std::string::npos) continue;
    if (const auto vma = libmseal::policy::parse_maps_line(line)) return vma->range;
  }
  return {};
}

}  // namespace

int main() {
  const auto range = table();
  if (range.empty()) {
    std::puts("there is no table");
    return kHeld;
  }
  (void)raw_syscall(__NR_madvise, range.start, range.size(), MADV_DONTFORK);
  const int child = ::fork();
  if (child != 0) return outcome_of(child);
  const long mapped = raw_syscall(__NR_mmap, range.start, range.size(), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  const bool shadowed = mapped == static_cast<long>(range.start);
  std::printf("the table of the child is %s\n", shadowed ? "FORGED" : "unharmed");
  leave(shadowed ? kBroken : kHeld);
}
