#include "shim/supervisor/judge.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

#include "shim/common/machine.h"

namespace libmseal::supervisor {

using policy::MmCall;
using policy::Verdict;

namespace {

// Whether the file is known not to lie on hugetlbfs.
bool has_ordinary_pages(pid_t task, std::uint64_t descriptor) {
  const std::string path =
      "/proc/" + std::to_string(task) + "/fd/" + std::to_string(static_cast<int>(descriptor));
  struct statfs filesystem {};
  if (statfs(path.c_str(), &filesystem) != 0) return errno == ENOENT;  // no file: EBADF
  return filesystem.f_type != HUGETLBFS_MAGIC;
}

// Whether mremap moves several mappings at once, each by its own rules (mm/mremap.c, remap_move, since 6.17).
bool moves_several_mappings() {
  utsname system{};
  if (uname(&system) != 0) return true;
  const std::string_view release = system.release;
  const char* const end = release.data() + release.size();
  int major = 0;
  int minor = 0;
  const auto [dot, wrong] = std::from_chars(release.data(), end, major);
  if (wrong != std::errc{} || dot == end) return true;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc{}) return true;
  return major > 6 || (major == 6 && minor >= 17);
}

// Of what is made without a word about its size; the largest there is if the kernel does not say.
std::uint64_t usual_huge_page() {
  std::ifstream file("/proc/meminfo");
  constexpr std::string_view kKey = "Hugepagesize:";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kKey)) return std::stoull(line.substr(kKey.size())) * 1024;
  }
  return ~0ULL;
}

}  // namespace

// More seals never allow more, but for what shmdt asks: joined, seals of two segments keep one of their
// addresses.
bool Judge::allows_everybody(const MmCall& call, const Registry& registry) {
  if (call.makes_huge_pages && moves_several_mappings()) {
    const std::uint64_t size = call.huge_page != 0 ? call.huge_page : usual_huge_page();
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
  return has_ordinary_pages(caller.task, call.argument) ? policy::kAllow : policy::kRefuse;
}

}  // namespace libmseal::supervisor
