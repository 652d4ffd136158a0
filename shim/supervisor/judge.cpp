#include "shim/supervisor/judge.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "shim/common/machine.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Verdict;

namespace {

// Whether the file is known not to lie on hugetlbfs.
bool has_ordinary_pages(Proc& proc, pid_t task, std::uint64_t descriptor) {
  const long folder = proc.open(shim::ProcPath(task, "fd"), O_PATH | O_DIRECTORY);
  if (shim::failed(folder)) return false;
  const std::string name = std::to_string(static_cast<int>(descriptor));
  const int file = openat(static_cast<int>(folder), name.c_str(), O_PATH | O_CLOEXEC);
  const bool none = file < 0 && errno == ENOENT;  // then the call fails: EBADF
  close(static_cast<int>(folder));
  struct statfs filesystem {};
  const bool seen = file >= 0 && fstatfs(file, &filesystem) == 0;
  if (file >= 0) close(file);
  return none || (seen && filesystem.f_type != HUGETLBFS_MAGIC);
}

}  // namespace

// More seals never allow more, but for what shmdt asks: joined, seals of two segments keep one of their
// addresses.
bool Judge::allows_everybody(const MmCall& call, const Registry& registry) {
  // Whatever release the kernel names: the supervisor has the personality of the program that started it, and
  // so may have been told that of an old one (UNAME26).
  if (call.makes_huge_pages) {
    const std::uint64_t size = call.huge_page != 0 ? call.huge_page : usual_huge_page_;
    huge_page_ = std::max(huge_page_, std::min(size, shim::this_machine().huge_pages.back()));
  }
  const std::span<const policy::Seal> seals = registry.all_seals();
  return call.effect != MmCall::Effect::detach && !seals.empty() &&
         policy::decide(call, {seals, huge_page_}) == policy::kAllow;
}

Verdict Judge::decide(const MmCall& call, const Caller& caller) const {
  if (caller.foreign()) return policy::kAllow;
  const Verdict verdict = policy::decide(call, {caller.record->seals(), huge_page_});
  if (verdict != policy::kDependsOnFile) return verdict;
  return has_ordinary_pages(proc_, caller.task, call.argument) ? policy::kAllow : policy::kRefuse;
}

}  // namespace libmseal::supervisor
