#include "shim/preload/arena.h"

#include <sys/mman.h>

#include <cerrno>

#include "policy/control.h"
#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/backend.h"
#include "shim/preload/lock.h"
#include "shim/preload/sealing.h"
#include "shim/preload/supervisor_link.h"

namespace libmseal::shim {
namespace {

using policy::Control;
using policy::Range;

// Above what sanitizers and language runtimes take, below programs and libraries.
constexpr std::uint64_t kTiB = 1ULL << 40;
constexpr std::uint64_t kFirstPlace = 32 * kTiB;
constexpr std::uint64_t kPlaces = 32;
constexpr int kAttempts = 16;  // at places where something is already

enum Window : std::uint8_t { kKept, kOthers };

bool is_empty(const Range& range) {
  bool empty = true;
  const long read = read_maps("/proc/self/maps", [&](const policy::Vma& vma) {
    empty = empty && !vma.range.touches(range);
    return empty && vma.range.start < range.end;
  });
  return read == 0 && empty;
}

// Seals both windows for this image. False if they are not to be had.
bool open_arena(State& state) {
  if (state.arena.state == ArenaState::open) return true;
  const ExclusiveSection section;
  if (state.backend == policy::Backend::automatic) {
    state.pieces.clear();
    Launch launch;
    start_backend(state, {}, launch);
  }
  if (state.arena.state != ArenaState::unused) return state.arena.state == ArenaState::open;
  state.arena.state = ArenaState::missing;  // unless all of this goes well
  if (state.table == nullptr) return false;
  for (const Range& window : state.arena.windows) {
    if (window.empty() || !is_empty(window)) return false;
  }
  for (const Window which : {kKept, kOthers}) {
    const Range& window = state.arena.windows[which];
    if (tell_supervisor({Control::Kind::add_to_hull, {window, which == kKept, 0}}) != 0) return false;
    state.arena.next[which] = window.start;
  }
  state.arena.state = ArenaState::open;
  return true;
}

// In the window, at the next free place: the address, or -errno.
long map_in_window(State& state, Window which, const policy::Arguments& arguments) {
  const std::uint64_t size = policy::round_up(arguments[1], state.machine.page_size);
  const Range& window = state.arena.windows[which];
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

policy::Range choose_arena() {
  std::uint64_t chance = 0;
  if (raw_syscall(__NR_getrandom, &chance, sizeof chance, 0) != static_cast<long>(sizeof chance)) return {};
  return Range::of(kFirstPlace + chance % kPlaces * kTiB, kTiB);
}

void set_arena(State& state, const Range& arena) {
  const std::uint64_t middle = arena.start + arena.size() / 2;
  state.arena.windows = {Range{arena.start, middle}, Range{middle, arena.end}};
}

long map_sealed(State& state, const policy::Arguments& arguments) {
  const auto flags = static_cast<std::uint32_t>(arguments[3]);
  const bool anywhere =
      (flags & (policy::kMapFixed | policy::kMapFixedNoreplace | policy::kMapHugetlb | MAP_GROWSDOWN)) == 0;
  if (!anywhere || !open_arena(state)) return map_then_seal(state, arguments);
  const bool anonymous = (flags & MAP_ANONYMOUS) != 0;
  const bool kept = (arguments[2] & PROT_WRITE) == 0 && (flags & MAP_TYPE) == MAP_PRIVATE &&
                    (anonymous || state.options.discard == policy::DiscardRule::strict);
  return map_in_window(state, kept ? kKept : kOthers, arguments);
}

}  // namespace libmseal::shim
