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
  for (const Range& segment : choice.segments) {
    Range rest = intersection(vma.range, segment);
    while (!rest.empty()) {
      Range part = rest;
      std::uint64_t next = rest.end;
      for (const Range& hole : choice.mutable_data) {
        if (!vma.writable || !part.touches(hole)) continue;
        if (hole.start <= part.start) {
          part = {};
          next = hole.end;
          break;
        }
        part.end = hole.start;
        next = hole.start;
      }
      if (!part.empty()) seal(part, !vma.writable);
      rest.start = next;
    }
  }
}

}  // namespace libmseal::policy
