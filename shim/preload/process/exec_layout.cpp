#include "shim/preload/process/exec_layout.h"

#include <sys/personality.h>

#include "shim/common/raw_syscall.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {

void note_filtered(State& state, const policy::Range& range) {
  state.filtered_ranges.fetch_add(1, std::memory_order_relaxed);
  state.filtered_bytes.fetch_add(range.size(), std::memory_order_relaxed);
}

#ifdef __x86_64__

namespace {

constexpr unsigned long kAsk = 0xFFFFFFFF;

bool is_much(const State& state) {
  constexpr std::uint64_t kMany = 64;  // ranges, of some twenty images
  // Bytes: a thousandth of the range in which the kernel places libraries.
  constexpr std::uint64_t kLarge = 1ULL << 30;
  return state.filtered_ranges.load(std::memory_order_relaxed) >= kMany ||
         state.filtered_bytes.load(std::memory_order_relaxed) >= kLarge;
}

}  // namespace

long set_exec_layout(const State& state) {
  if (!is_much(state) || program_filters_kill(Purpose::optional)) [[likely]]
    return -1;
  const long present = raw_syscall(__NR_personality, kAsk);
  if (failed(present) || (present & ADDR_COMPAT_LAYOUT) != 0) return -1;
  const long changed = raw_syscall(__NR_personality, present | ADDR_COMPAT_LAYOUT);
  return failed(changed) ? changed : present;
}

#else

// On arm64 most images lie in watched ranges anyway.
long set_exec_layout(const State&) {
  return -1;
}

#endif

void restore_exec_layout(long before) {
  if (!failed(before)) (void)raw_syscall(__NR_personality, before);
}

}  // namespace libmseal::shim
