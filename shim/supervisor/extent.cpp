#include "shim/supervisor/extent.h"

#include <linux/magic.h>
#include <sys/shm.h>
#include <sys/statfs.h>

#include <algorithm>
#include <string>
#include <vector>

#include "shim/supervisor/process.h"

namespace libmseal::supervisor {
namespace {

using policy::MmCall;
using policy::Range;
using Maps = std::vector<OwnedVma>;

// The first mapping that ends after `address`, as the kernel's find_vma().
Maps::const_iterator find_vma(const Maps& maps, std::uint64_t address) {
  return std::ranges::find_if(maps, [address](const OwnedVma& one) { return one.vma.range.end > address; });
}

void resolve_growing(const Maps& maps, MmCall& call) {
  Range& range = call.ranges[0];
  const auto at = find_vma(maps, range.start);
  if (range.empty() || at == maps.end() || at->vma.range.start >= range.end) {
    call.effect = MmCall::Effect::none;  // EINVAL or ENOMEM
    return;
  }
  if (call.hidden == MmCall::Hidden::grows_down) {
    range.start = std::min(range.start, at->vma.range.start);
  } else {
    range.end = std::max(range.end, at->vma.range.end);
  }
}

void resolve_huge_pages(pid_t task, MmCall& call) {
  Range& range = call.ranges[0];
  if (range.empty()) {
    call.effect = MmCall::Effect::none;
    return;
  }
  // The largest of a kernel's sizes that the address allows. For a file, its own.
  constexpr std::uint64_t kLargest = 1ULL << 30;
  std::uint64_t size = std::min(kLargest, range.start == 0 ? kLargest : range.start & -range.start);
  if (call.argument != ~0ULL) {
    const std::string path =
        "/proc/" + std::to_string(task) + "/fd/" + std::to_string(static_cast<int>(call.argument));
    struct statfs filesystem {};
    const bool known = statfs(path.c_str(), &filesystem) == 0;
    if (known && filesystem.f_type != HUGETLBFS_MAGIC) return;
    if (known) size = static_cast<std::uint64_t>(filesystem.f_bsize);
  }
  const std::uint64_t length = policy::round_up(range.size(), size);
  range = length == 0 ? Range{range.start, ~0ULL} : Range::of(range.start, length);
}

void resolve_segment(MmCall& call) {
  shmid_ds segment{};
  if (shmctl(static_cast<int>(call.argument), IPC_STAT, &segment) != 0) return;
  call.ranges[0] = Range::of(call.ranges[0].start, segment.shm_segsz);
}

// shmdt: every mapping of the segment that is where the attachment put it. io_destroy: the ring.
void resolve_by_file(const Maps& maps, MmCall& call, std::string_view name) {
  const std::uint64_t base = call.ranges[0].start;
  const OwnedVma* first = nullptr;
  for (const OwnedVma& one : maps) {
    const bool in_place = one.name.starts_with(name) && one.vma.range.start >= base &&
                          one.vma.range.start - base == one.vma.offset;
    if (!in_place || (first != nullptr && one.vma.inode != first->vma.inode)) continue;
    if (first == nullptr) first = &one;
    call.ranges[0].end = one.vma.range.end;
  }
  if (first == nullptr) call.effect = MmCall::Effect::none;
}

}  // namespace

Range heap_of(pid_t task) {
  Range heap;
  for (const OwnedVma& one : maps_of(task)) {
    if (one.name != "[heap]") continue;  // in several pieces once its protection was changed in parts
    heap = heap.empty() ? one.vma.range : Range{heap.start, one.vma.range.end};
  }
  return heap;
}

void resolve_extent(pid_t task, MmCall& call) {
  switch (call.hidden) {
    case MmCall::Hidden::none:
    case MmCall::Hidden::rounded:  // as decoded
    case MmCall::Hidden::in_memory:
      return;
    case MmCall::Hidden::huge_pages:
      return resolve_huge_pages(task, call);
    case MmCall::Hidden::segment:
      return resolve_segment(call);
    case MmCall::Hidden::grows_down:
    case MmCall::Hidden::grows_up:
    case MmCall::Hidden::attached:
    case MmCall::Hidden::ring:
      break;
  }
  const Maps maps = maps_of(task);
  if (maps.empty()) {
    call.ranges = {};
    return;
  }
  if (call.hidden == MmCall::Hidden::attached) return resolve_by_file(maps, call, "/SYSV");
  if (call.hidden == MmCall::Hidden::ring) return resolve_by_file(maps, call, "/[aio]");
  resolve_growing(maps, call);
}

}  // namespace libmseal::supervisor
