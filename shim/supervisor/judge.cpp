#include "shim/supervisor/judge.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/rules/seal_request.h"
#include "shim/common/machine.h"
#include "shim/common/maps_reader.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Verdict;

namespace {

// Whether the file is certainly not on hugetlbfs.
bool has_ordinary_pages(Proc& proc, pid_t task, std::uint64_t descriptor) {
  const auto file = static_cast<int>(proc.open_descriptor(task, static_cast<int>(descriptor)));
  if (file < 0) return file == -ENOENT;  // then the call fails: EBADF
  struct statfs filesystem {};
  const bool seen = fstatfs(file, &filesystem) == 0;
  close(file);
  return seen && filesystem.f_type != HUGETLBFS_MAGIC;
}

// The largest page size of the mappings in `range`; that of the machine if it is not known.
std::uint64_t largest_page(Proc& proc, pid_t task, const policy::Range& range) {
  const policy::Machine machine = shim::this_machine();
  std::uint64_t largest = machine.page_size;
  const long read = visit_maps(proc, task, [&](const policy::Vma& vma) {
    if (vma.range.touches(range) && policy::may_have_huge_pages(machine, vma)) {
      const long smaps = proc.open(shim::ProcPath(task, "smaps"));
      largest = std::max(largest, shim::page_size_at(smaps, vma.range.start));
    }
    return vma.range.start < range.end;
  });
  return read == 0 ? std::min(largest, machine.huge_pages.back()) : machine.huge_pages.back();
}

}  // namespace

Judge::Judge(Proc& proc, std::uint64_t usual_huge_page, pid_t early_process)
    : proc_(proc), usual_huge_page_(usual_huge_page) {
  if (early_process == 0) return;
  // Another thread may be about to create huge pages.
  const auto threads = proc.threads(early_process);
  const bool alone = threads.is_seen() && threads->size() == 1;
  const std::uint64_t largest = alone ? largest_page(proc, early_process, {0, ~0ULL}) : ~0ULL;
  if (largest != shim::this_machine().page_size)
    huge_page_ = std::min(largest, shim::this_machine().huge_pages.back());
}

// This does not depend on the kernel release: the supervisor inherits the personality of the program that
// started it, so uname may report an old release (UNAME26).
void Judge::note_huge_pages(const MmCall& call) {
  if (!call.makes_huge_pages) return;
  const std::uint64_t size = call.huge_page != 0 ? call.huge_page : usual_huge_page_;
  huge_page_ = std::max(huge_page_, std::min(size, shim::this_machine().huge_pages.back()));
}

// Correct because additional seals never allow a call.
bool Judge::allows_everybody(const MmCall& call, const Registry& registry) const {
  const std::span<const policy::Seal> seals = registry.all_seals();
  return !seals.empty() && policy::decide(call, {seals, huge_page_}) == Verdict::allow;
}

// Another thread, or a process that shares the memory, could map huge pages there before the kernel runs the
// call. So there must be none.
bool Judge::moves_no_huge_pages(const MmCall& mremap, const Caller& caller, Registry& registry) const {
  return is_only_thread(proc_, caller) && registry.register_sharers(caller) == shim::Sharing::alone &&
         largest_page(proc_, caller.task, mremap.ranges[0]) == shim::this_machine().page_size;
}

Verdict Judge::decide(const MmCall& call, const Caller& caller, Registry& registry) const {
  if (caller.foreign()) return Verdict::allow;
  const Verdict verdict = policy::decide(call, {caller.record->seals(), huge_page_});
  const auto allow_if = [](bool ordinary) { return ordinary ? Verdict::allow : Verdict::refuse; };
  if (verdict == Verdict::depends_on_file)
    return allow_if(has_ordinary_pages(proc_, caller.task, call.argument));
  if (verdict == Verdict::depends_on_source) return allow_if(moves_no_huge_pages(call, caller, registry));
  return verdict;
}

}  // namespace libmseal::supervisor
