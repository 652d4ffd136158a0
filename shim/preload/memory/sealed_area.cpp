#include "shim/preload/memory/sealed_area.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>

#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/memory/load_ranges.h"
#include "shim/preload/process/own_proc.h"

namespace libmseal::shim {
namespace {

using policy::Range;

// Other code cannot use the first TiB, and calls in the second are slow. So both lie where other code maps
// nothing: V8 and other runtimes choose random addresses in the first 64 TiB, the kernel places programs at
// 85 TiB and libraries above.
constexpr std::uint64_t kTiB = 1ULL << 40;
constexpr std::uint64_t kFirstPlace = 65 * kTiB;
constexpr std::uint64_t kPlaces = 8;
constexpr int kAttempts = 16;  // to find a free place

constexpr std::size_t index_of(Window window) {
  return static_cast<std::size_t>(window);
}

// Reserves the next `size` bytes of the window; 0 if there is no room. A failed request reserves nothing, so
// the counter can't run past the window and wrap.
std::uint64_t take_place(std::atomic<std::uint64_t>& next, const Range& window, std::uint64_t size) {
  std::uint64_t at = next.load();
  do {
    if (at < window.start || at > window.end || window.end - at < size) return 0;
  } while (!next.compare_exchange_weak(at, at + size));
  return at;
}

// Frees an unused reservation, unless the next one has been taken meanwhile.
void give_back(std::atomic<std::uint64_t>& next, std::uint64_t at, std::uint64_t size) {
  std::uint64_t behind = at + size;
  (void)next.compare_exchange_strong(behind, at);
}

bool is_empty(const Range& range) {
  bool empty = true;
  const long read = read_maps(open_own("maps"), [&](const policy::Vma& vma) {
    empty = empty && !vma.range.touches(range);
    return empty && vma.range.start < range.end;
  });
  return read == 0 && empty;
}

}  // namespace

Range choose_sealed_area() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t chance = 0;
    if (raw_syscall(__NR_getrandom, &chance, sizeof chance, 0) != static_cast<long>(sizeof chance)) return {};
    const Range place = Range::of(kFirstPlace + chance % kPlaces * 2 * kTiB, kTiB);
    const std::uint64_t end = range_of(Window::sealable, place).end;
    if (end > end_of_addresses()) return {};  // arm64 with 39 or 42 bits
    if (is_empty({place.start, end})) return place;
  }
  return {};
}

Range range_of(Window window, const Range& sealed_area) {
  if (window != Window::sealable) return policy::seals_of_sealed_area(sealed_area)[index_of(window)].range;
  return sealed_area.empty() ? Range{} : Range::of(sealed_area.end, kTiB);
}

void set_windows(State& state, const Range& sealed_area, bool supervised) {
  state.windows.ranges = {range_of(Window::protected_contents, sealed_area),
                          range_of(Window::other_contents, sealed_area),
                          supervised ? range_of(Window::sealable, sealed_area) : Range{}};
  for (std::size_t which = 0; which < state.windows.ranges.size(); ++which)
    state.windows.next[which] = state.windows.ranges[which].start;
}

bool has_window(const State& state, Window window) {
  return !state.windows.ranges[index_of(window)].empty();
}

bool is_placed_sealable(const State& state, const policy::Range& range) {
  return state.windows.ranges[index_of(Window::sealable)].contains(range);
}

bool is_in_sealed_area(const State& state, const policy::Range& range) {
  return state.windows.ranges[index_of(Window::protected_contents)].touches(range) ||
         state.windows.ranges[index_of(Window::other_contents)].touches(range);
}

std::uint64_t hint_outside_windows(const State& state, std::uint64_t address, std::uint64_t length,
                                   std::uint64_t flags) {
  const bool fixed = (flags & (policy::kMapFixed | policy::kMapFixedNoreplace)) != 0;
  if (address == 0 || fixed) return address;
  // The kernel rounds both up, to huge pages at most. The largest of any machine: the program may call mmap
  // before the library has started and knows its own.
  constexpr std::uint64_t kLargest = 16ULL << 30;
  const Range wanted = Range::of(address, length > ~0ULL - 2 * kLargest ? length : length + 2 * kLargest);
  return policy::any_touches(state.windows.ranges, wanted) ? 0 : address;
}

long map_in_window(State& state, Window where, const policy::Arguments& arguments) {
  const std::uint64_t size = policy::round_up(arguments[1], state.machine.page_size);
  const Range& window = state.windows.ranges[index_of(where)];
  std::atomic<std::uint64_t>& next = state.windows.next[index_of(where)];
  if (arguments[1] == 0) return -EINVAL;
  if (size == 0 || size > window.size()) return -ENOMEM;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t at = take_place(next, window, size);
    if (at == 0) return -ENOMEM;
    const long mapped = uninterrupted_syscall(__NR_mmap, at, size, arguments[2],
                                              arguments[3] | MAP_FIXED_NOREPLACE, arguments[4], arguments[5]);
    if (mapped == -EEXIST) continue;
    if (failed(mapped)) give_back(next, at, size);
    return mapped;
  }
  return -ENOMEM;
}

long move_to_window(State& state, Window where, const policy::Range& range) {
  const std::size_t index = index_of(where);
  const std::uint64_t place =
      take_place(state.windows.next[index], state.windows.ranges[index], range.size());
  if (place == 0) return -ENOMEM;
  return raw_syscall(__NR_mremap, range.start, range.size(), range.size(), MREMAP_MAYMOVE | MREMAP_FIXED,
                     place);
}

}  // namespace libmseal::shim
