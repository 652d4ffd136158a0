// Where our answer may differ from the kernel's own mseal(2): each by name, with its reason. Nothing else
// may. And nothing here excuses a sealed page that is not what it was, or a refused call that changed one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace libmseal::tests {

struct Step {
  std::string_view call;       // "munmap(0x1000, 0x1000) by thread"
  bool touches = false;        // it names a sealed page
  bool may_be_huge = false;    // it names one if the size is rounded up to the target's alignment
  bool near_ring = false;      // a seal is within the largest ring from the context on
  bool any = false;            // something is sealed
  bool outlives_exec = false;  // seals of the coverage `fast` are filters
  std::string_view result;     // a number, or "page N"
  std::string_view sealed;     // the sealed pages after it; empty if it touched none
  std::string_view all;        // every page, after the twins put back what a refused call may have changed
  std::string_view trouble;    // what must not be
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

// "0x2" of "mremap(0x1, 0x2)" is argument 1.
inline std::string_view argument_of(std::string_view call, int index) {
  std::string_view rest = call.substr(call.find('(') + 1);
  for (; index > 0; --index) rest.remove_prefix(rest.find(", ") + 2);
  return rest.substr(0, rest.find_first_of(",)"));
}

// The whole pages that a size takes.
inline std::uint64_t pages_in(std::string_view size) {
  return (std::stoull(std::string(size), nullptr, 16) + 0xFFF) / 0x1000;
}

// Refusals that rest on what can't change, and so refuse more than the kernel does. The twins put back what
// the kernel has done.
inline std::optional<std::string_view> refused_to_be_safe(const Step& kernel, const Step& ours) {
  const bool refused = ours.result == "-1";
  const bool unknown = ours.result == "-38";
  // Whether the source is of huge pages can't be told for sure, so the size is treated as rounded up to the
  // target's alignment, never beyond what a huge page could take. The same goes for mappings of huge pages:
  // how large these are is not in the arguments.
  const bool places =
      ours.call.starts_with("mremap") || ours.call.starts_with("move_ring") || ours.call.starts_with("mmap");
  if (refused && ours.may_be_huge && places) return "may be a huge page";
  // Since 6.17 an mremap may move several mappings, and those of huge pages reach past the end of the target.
  if (refused && ours.any &&
      (ours.call.starts_with("move_ring") ||
       (ours.call.starts_with("mremap") &&
        pages_in(argument_of(ours.call, 1)) == pages_in(argument_of(ours.call, 2)))))
    return "may be several mappings, one of huge pages";
  // /proc does not show of which ABI a call is whose registers are too wide for i386.
  const std::size_t by_i386 = ours.call.find(" int80 ");
  if (refused && by_i386 != std::string_view::npos && !ours.call.substr(by_i386).starts_with(" int80 0x1 ") &&
      !ours.call.ends_with(" int80 0x1"))
    return "i386 with garbage in upper halves";
  // How long a segment is depends on the namespace of the caller. Refused from the first call of mseal on.
  if (refused && ours.call.starts_with("shmat") && (argument_of(ours.call, 2) == "0x4000")) {
    return "shmat SHM_REMAP";
  }
  // Which mapping begins the stack can be changed between the look and the call.
  const std::string_view protection = ours.call.starts_with("mprotect") ? argument_of(ours.call, 2) : "";
  if (refused && ours.any && protection.size() == 9 && protection.starts_with("0x1")) return "PROT_GROWSDOWN";
  // The kernel unmaps the ring where it is by then, which another thread may choose.
  if (refused && ours.call.starts_with("io_destroy")) return "io_destroy";
  // Arguments in memory, rings and files of huge pages can't be decided on, and no healthy program has them.
  if (unknown) {
    for (const std::string_view call : {"io_uring_setup", "uselib", "memfd_create_huge", "old_mmap"}) {
      if (ours.call.starts_with(call)) return call;
    }
  }
  // The library of a new image keeps free the addresses that filters of its ancestors still refuse.
  if (refused && ours.touches && ours.outlives_exec && ours.call.starts_with("exec_child") &&
      kernel.result == "0") {
    return "filters outlive exec";
  }
  // Another process shares the memory and would not get the filter.
  if (ours.result == "-11" && ours.call.starts_with("mseal_shared") && kernel.result == "0")
    return "mseal while shared";
  // Whether a child has a seal from its parent is known for the refusals, and not for sure: so it is sealed
  // again, and a part of a huge page can't be.
  if (ours.result == "-22" && ours.touches && ours.call.starts_with("mseal(") && kernel.result == "0")
    return "part of a sealed huge page";
  return std::nullopt;
}

// The name of the difference, or nothing if it is not allowed.
inline std::optional<std::string_view> allowed_difference(const Step& kernel, const Step& ours) {
  // What follows for the rest must be the same, always.
  if (!kernel.trouble.empty() || !ours.trouble.empty()) return std::nullopt;
  if (kernel.call != ours.call || kernel.all != ours.all) return std::nullopt;
  // An mremap of it may have been refused here alone.
  if (ours.call.starts_with("io_destroy") && kernel.result == ours.result) return "the ring lies elsewhere";
  const bool both_refused = ours.result == "-1" && kernel.result == "-1";
  if (const auto name = refused_to_be_safe(kernel, ours); name && kernel.result != ours.result) return name;
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
  // The raw call answers what every libc takes for ENOMEM; the kernel's answers the current break.
  // It answers so below the heap as well, where the kernel may be one that goes down to the data.
  if (ours.call.starts_with("brk") && ours.result == "0" && kernel.result.starts_with("page")) {
    return "brk answers 0";
  }
  // A filter sees the seal before the kernel sees what else is wrong with the arguments: a hole in front of
  // it, a length or target that mremap would not take, an mremap across mappings, half a huge page.
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
