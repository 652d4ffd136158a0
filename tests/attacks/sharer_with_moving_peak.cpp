// clone with CLONE_VM where kcmp is refused, so that only VmPeak tells memories apart. The process moves a
// mapping all the time: meanwhile the kernel counts it twice, and the peak seems higher than it is.
#include "tests/attacks/sharer.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

namespace {

constexpr std::size_t kMoved = std::size_t{64} << 20;
char* volatile g_from = nullptr;
char* volatile g_to = nullptr;

// KiB, by a line of /proc/self/status.
long size_by(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::atol(line.c_str() + key.size());
  return 0;
}

int move(void*) {
  g_sharer.runs = true;
  while (!g_sharer.sealed) {
    const long moved = raw_syscall(__NR_mremap, g_from, kMoved, kMoved, MREMAP_MAYMOVE | MREMAP_FIXED, g_to);
    if (libmseal::shim::failed(moved)) continue;
    char* const from = g_from;
    g_from = g_to;
    g_to = from;
  }
  share();
}

}  // namespace

int main() {
  (void)answer_with(__NR_kcmp, SECCOMP_RET_ERRNO | EPERM);
  constexpr std::uint64_t kArea = 0x2000'0000'0000;
  g_from = map_at(kArea, kMoved);
  g_to = g_from + 2 * kMoved;
  // What is mapped is a little less than the peak, so that a move seems to exceed that.
  (void)::munmap(map_at(0, 8 * kMoved), 8 * kMoved);
  const long rest = size_by("VmPeak:") - size_by("VmSize:") - 64;
  (void)map_at(0, static_cast<std::size_t>(rest) * 1024);
  if (::clone(move, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  return seal_beside_sharer();
}
