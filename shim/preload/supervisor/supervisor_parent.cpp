#include "shim/preload/supervisor/supervisor_parent.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>

#include "policy/rules/fixed_vector.h"
#include "policy/rules/range.h"
#include "shim/common/child.h"
#include "shim/preload/memory/load_ranges.h"

// The linker's names for the start and the end of this object. NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start;
extern "C" __attribute__((visibility("hidden"))) const char _end;
// NOLINTEND(bugprone-reserved-identifier)

namespace libmseal::shim {
namespace {

using policy::Range;

constexpr std::uint64_t kStep = 1 << 16;  // the largest page size

std::uint64_t thread_pointer() {
  std::uint64_t pointer = 0;
#ifdef __x86_64__
  asm("mov %%fs:0, %0" : "=r"(pointer));
#else
  asm("mrs %0, tpidr_el0" : "=r"(pointer));
#endif
  return pointer;
}

Range around(std::uint64_t address) {
  return {policy::round_down(address, kStep) - kStep, policy::round_down(address, kStep) + 2 * kStep};
}

// Unmaps all but this object, the stack here, and the thread's own data: the kernel writes there (rseq). libc
// is gone then: only system calls.
__attribute__((noinline)) void wait_without_memory(long supervisor) {
  int here = 0;
  const Range object{policy::round_down(reinterpret_cast<std::uint64_t>(&__ehdr_start), kStep),
                     policy::round_up(reinterpret_cast<std::uint64_t>(&_end), kStep)};
  policy::FixedVector<Range, 3> kept;
  for (const Range& one : {object, around(reinterpret_cast<std::uint64_t>(&here)), around(thread_pointer())})
    (void)policy::insert_range(kept, one);
  const std::uint64_t top = end_of_addresses() - kStep;
  std::uint64_t at = 0;
  for (const Range& one : kept) {
    (void)raw_syscall(__NR_munmap, at, one.start - at);
    at = one.end;
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
  wait_without_memory(supervisor);
}

}  // namespace libmseal::shim
