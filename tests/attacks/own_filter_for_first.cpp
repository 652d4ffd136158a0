// A process that shares its parent's memory makes the library's first call, and so gets its first filter. The
// parent has a filter of its own, which refuses munmap as that one would in the area where everything is
// sealed.
#include "tests/attacks/segment.h"
#include "tests/attacks/sharer.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

namespace {

int reprotect_born_sealed() {
  void* const born = ::mmap(nullptr, kPage, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (born == MAP_FAILED) return nothing_promised(-errno);
  const Victim victim = Victim::sealed_already(static_cast<char*>(born), kPage);
  return conclude(victim, "mprotect of a mapping with PROT_SEAL",
                  raw_syscall(__NR_mprotect, born, kPage, PROT_READ | PROT_WRITE));
}

}  // namespace

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (install_filter_for(__NR_munmap, SECCOMP_RET_ERRNO | EPERM) != 0) cannot_try("a filter");
  (void)seal_by_sharer(map_at(0, kPage));
  const int replaced = replace_by_segment(page);
  return worse_of(replaced, reprotect_born_sealed());
}
