#include "shim/preload/arena.h"

#include <sys/mman.h>

#include <cerrno>

#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backend.h"
#include "shim/preload/lock.h"
#include "shim/preload/sealing.h"

namespace libmseal::shim {
namespace {

using policy::Range;

// A whole TiB is refused to everything else, so it has to be where nobody goes: V8 and other runtimes choose
// random places in the first 64 TiB, the kernel puts programs at 85 TiB and libraries above.
constexpr std::uint64_t kTiB = 1ULL << 40;
constexpr std::uint64_t kFirstPlace = 65 * kTiB;
constexpr std::uint64_t kPlaces = 16;
constexpr int kAttempts = 16;  // at places where something is already

enum Window : std::uint8_t { kProtected, kOther };

bool is_empty(const Range& range) {
  bool empty = true;
  const long read = read_maps("/proc/thread-self/maps", [&](const policy::Vma& vma) {
    empty = empty && !vma.range.touches(range);
    return empty && vma.range.start < range.end;
  });
  return read == 0 && empty;
}

long start_if_needed(State& state) {
  if (state.backend != policy::Backend::automatic) return 0;
  const ExclusiveSection section;
  return state.backend == policy::Backend::automatic ? start_backend_late(state) : 0;
}

// In the window, at the next free place: the address, or -errno.
long map_in_window(State& state, Window which, const policy::Arguments& arguments) {
  const std::uint64_t size = policy::round_up(arguments[1], state.machine.page_size);
  const Range& window = state.arena.windows[which];
  if (arguments[1] == 0) return -EINVAL;
  if (size == 0 || size > window.size()) return -ENOMEM;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t at = state.arena.next[which].fetch_add(size);
    if (at >= window.end || window.end - at < size) return -ENOMEM;
    const long mapped = raw_syscall(__NR_mmap, at, size, arguments[2], arguments[3] | MAP_FIXED_NOREPLACE,
                                    arguments[4], arguments[5]);
    if (mapped != -EEXIST) return mapped;
  }
  return -ENOMEM;
}

long map_then_seal(State& state, const policy::Arguments& arguments) {
  const long mapped = raw_syscall(__NR_mmap, arguments[0], arguments[1], arguments[2], arguments[3],
                                  arguments[4], arguments[5]);
  if (failed(mapped)) return mapped;
  const long sealed = seal(state, static_cast<std::uint64_t>(mapped), arguments[1], 0);
  if (sealed == 0) return mapped;
  (void)raw_syscall(__NR_munmap, mapped, arguments[1]);
  return sealed;
}

}  // namespace

Range choose_arena() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t chance = 0;
    if (raw_syscall(__NR_getrandom, &chance, sizeof chance, 0) != static_cast<long>(sizeof chance)) return {};
    const Range place = Range::of(kFirstPlace + chance % kPlaces * kTiB, kTiB);
    if (is_empty(place)) return place;
  }
  return {};
}

Range protected_window(const Range& arena) {
  return {arena.start, arena.start + arena.size() / 2};
}

Range other_window(const Range& arena) {
  return {arena.start + arena.size() / 2, arena.end};
}

void set_arena(State& state, const Range& arena) {
  state.arena.windows = {protected_window(arena), other_window(arena)};
  for (std::size_t which = 0; which < state.arena.windows.size(); ++which)
    state.arena.next[which] = state.arena.windows[which].start;
}

long map_sealed(State& state, const policy::Arguments& arguments) {
  const auto flags = static_cast<std::uint32_t>(arguments[3]);
  const bool anywhere =
      (flags & (policy::kMapFixed | policy::kMapFixedNoreplace | policy::kMapHugetlb | MAP_GROWSDOWN)) == 0;
  if (const long error = start_if_needed(state); error != 0) return error;
  const bool anonymous = (flags & MAP_ANONYMOUS) != 0;
  const bool kept = (arguments[2] & PROT_WRITE) == 0 && (flags & MAP_TYPE) == MAP_PRIVATE &&
                    (anonymous || state.options.discard == policy::DiscardRule::strict);
  const Window window = kept ? kProtected : kOther;
  if (!anywhere || state.arena.windows[window].empty()) return map_then_seal(state, arguments);
  return map_in_window(state, window, arguments);
}

}  // namespace libmseal::shim
