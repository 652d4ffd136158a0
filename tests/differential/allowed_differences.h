// Where our answer may differ from the kernel's own mseal(2): each by name, with its reason. Nothing else
// may.
#pragma once

#include <optional>
#include <string_view>

namespace libmseal::tests {

struct Step {
  std::string_view call;    // "munmap(0x1000, 0x1000)"
  bool touches = false;     // it names a sealed page
  std::string_view result;  // a number, or "page N"
  std::string_view sealed;  // the sealed pages after it; empty if it touched none
  std::string_view all;     // every page, after the twins put back what a refused call may have changed
};

// The kernel's state of the sealed pages differs from ours only in contents thrown away, where they may be
// written anyway. Two characters a page: protection bits (1 read, 2 write) and first byte, '.' for zero.
inline bool differs_in_writable_contents(std::string_view kernel, std::string_view ours) {
  if (kernel.size() != ours.size()) return false;
  for (std::size_t index = 0; index + 1 < kernel.size(); index += 2) {
    if (kernel[index] != ours[index]) return false;
    const bool writable = kernel[index] == '3' || kernel[index] == 'b';
    if (kernel[index + 1] != ours[index + 1] && !(writable && kernel[index + 1] == '.')) return false;
  }
  return true;
}

// The name of the difference, or nothing if it is not allowed.
inline std::optional<std::string_view> allowed_difference(const Step& kernel, const Step& ours) {
  // What follows for the rest must be the same, always.
  if (kernel.call != ours.call || kernel.all != ours.all) return std::nullopt;
  const bool both_refused = ours.result == "-1" && kernel.result == "-1";
  if (kernel.sealed != ours.sealed) {
    // Since 6.12 a refused madvise has discarded what comes before the page that refuses it. Ours does
    // nothing, as the mseal(2) that was merged.
    const bool discarded = both_refused && ours.call.starts_with("madvise") &&
                           differs_in_writable_contents(kernel.sealed, ours.sealed);
    return discarded ? std::optional<std::string_view>("all or nothing") : std::nullopt;
  }
  // A kernel's shmdt leaves the sealed pages of a segment and takes the others, so that a second one finds no
  // whole segment any more; ours leaves all of it.
  if (ours.touches && ours.call.starts_with("shmdt") && ours.result == "0" && kernel.result == "-22") {
    return "shmdt all or nothing";
  }
  // A filter sees the seal before the kernel sees what else is wrong with the arguments: a hole in front of
  // it, a length or target that mremap would not take, an mremap across mappings.
  if (ours.touches && ours.result == "-1") {
    for (const std::string_view other : {"-22", "-12", "-14"}) {
      if (kernel.result == other) return "EPERM first";
    }
    // Kernels since 6.17 let an mremap cut unsealed pages off behind sealed ones, or change nothing; the
    // mseal(2) that was merged, and ours, refuse whenever the old range touches a seal.
    if (ours.call.starts_with("mremap") && kernel.result.starts_with("page")) return "mremap beside a seal";
  }
  // A kernel's seal splits a mapping, ours does not: an mremap that reaches over the split fails for another
  // reason.
  const auto is_mremap_error = [](std::string_view result) {
    return result == "-14" || result == "-12" || result == "-22";
  };
  if (ours.call.starts_with("mremap") && is_mremap_error(kernel.result) && is_mremap_error(ours.result)) {
    return "mappings split by seals";
  }
  // A range that wraps around is let through, because the kernel refuses it whatever is sealed.
  if (ours.call.starts_with("mremap") && kernel.result == "-1" && is_mremap_error(ours.result)) {
    return "mremap of a range that wraps";
  }
  return std::nullopt;
}

}  // namespace libmseal::tests
