#include "shim/preload/supervisor/supervisor_parent.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdint>

#include "shim/common/child.h"
#include "shim/preload/memory/load_ranges.h"

// The linker's names for the start and the end of this object.
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start;
extern "C" __attribute__((visibility("hidden"))) const char _end;

namespace libmseal::shim {
namespace {

constexpr std::uint64_t kStep = 1 << 16;  // the largest page size

// Unmaps what lies below `top`, but for this object and the stack here. libc is gone then: only system calls.
__attribute__((noinline, optimize("no-stack-protector"))) void wait_without_memory(long supervisor,
                                                                                   std::uint64_t top) {
  int here = 0;
  const auto stack = reinterpret_cast<std::uint64_t>(&here);
  const std::uint64_t kept[][2] = {
      {reinterpret_cast<std::uint64_t>(&__ehdr_start), reinterpret_cast<std::uint64_t>(&_end)},
      {stack - kStep, stack + kStep},
  };
  std::uint64_t at = 0;
  for (const auto& [start, end] : kept) {
    const std::uint64_t until = start & -kStep;
    if (until > at) (void)raw_syscall(__NR_munmap, at, until - at);
    at = (end + kStep - 1) & -kStep;
  }
  (void)raw_syscall(__NR_munmap, at, top - at);
  while (raw_syscall(__NR_wait4, supervisor, 0, __WALL, 0) == -EINTR) {
  }
  end_process(0);
}

}  // namespace

void stay_parent_of(long supervisor) {
  (void)raw_syscall(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (raw_syscall(__NR_close_range, 0, ~0U, 0) != 0) return;
  (void)raw_syscall(__NR_chdir, "/");
  const std::uint64_t all = ~0ULL;
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
  wait_without_memory(supervisor, end_of_addresses() - kStep);
}

}  // namespace libmseal::shim
