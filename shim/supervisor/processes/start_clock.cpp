#include "shim/supervisor/processes/start_clock.h"

#include <algorithm>

#include "shim/common/child.h"
#include "shim/common/time_namespace.h"

namespace libmseal::supervisor {
namespace {

// The start times in a time namespace follow CLOCK_BOOTTIME or not, depending on the kernel. That of a new
// process shows which.
std::int64_t ahead_of_start_times(const shim::ProcRoot& proc) {
  const std::int64_t offset = shim::boot_time_offset(proc);
  if (offset == 0) return 0;
  const auto now = [] { return static_cast<std::int64_t>(shim::nanoseconds_of(CLOCK_BOOTTIME)); };
  const std::int64_t before = now();
  const long child = shim::raw_syscall(__NR_clone, 0, 0, 0, 0, 0);
  if (child == 0) shim::end_process(0);
  const std::int64_t after = now();
  policy::StatLine stat;
  const bool seen = !shim::failed(child) && shim::read_stat(proc, child, stat) == 0;
  if (!shim::failed(child)) (void)shim::reap(child);
  const auto start = static_cast<std::int64_t>(nanoseconds_of_ticks(stat.start_time));
  const auto end = static_cast<std::int64_t>(nanoseconds_of_ticks(stat.start_time + 1));
  const auto is_ahead = [&](std::int64_t by) { return seen && start <= after - by && before - by < end; };
  if (is_ahead(0) != is_ahead(offset)) return is_ahead(0) ? 0 : offset;
  return std::max<std::int64_t>(offset, 0);
}

}  // namespace

StartClock::StartClock(const shim::ProcRoot& proc) : ahead_(ahead_of_start_times(proc)) {}

}  // namespace libmseal::supervisor
