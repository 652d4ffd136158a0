// Which memory of the loaded ELF objects is sealed at start.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/vma.h"

namespace libmseal::policy {

struct SegmentChoice {
  std::span<const Range> segments;      // page-rounded PT_LOAD extents, sorted or not
  std::span<const Range> mutable_data;  // page-rounded: variables marked MSEAL_MUTABLE
  bool data = false;  // also writable segments: their place and protection, not their contents
};

// Calls seal(part, discard_protected) for each part of `vma` that belongs to one of the segments and is
// private. It must also be read-only (text, rodata, RELRO after relocation) unless choice.data is set. The
// protection is that of the mapping, not of the program header: a segment that is still writable is in use.
template <class Sealer>
void select_segments(const Vma& vma, const SegmentChoice& choice, Sealer seal) {
  const bool has_file = vma.inode != 0;
  if (vma.shared || (vma.writable ? !choice.data : !has_file))
    return;  // no inode: [vdso], which is an object of the kernel
  const std::span<const Range> holes = vma.writable ? choice.mutable_data : std::span<const Range>();
  for (const Range& segment : choice.segments) {
    (void)for_each_gap(intersection(vma.range, segment), holes, [&](const Range& part) {
      seal(part, !vma.writable);
      return true;
    });
  }
}

}  // namespace libmseal::policy
