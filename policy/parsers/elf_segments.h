// Which memory of the loaded ELF objects is sealed at start.
#pragma once

#include <span>

#include "policy/parsers/maps_line.h"
#include "policy/rules/range.h"

namespace libmseal::policy {

struct SegmentChoice {
  std::span<const Range> segments;      // page-rounded PT_LOAD extents, sorted or not
  std::span<const Range> mutable_data;  // page-rounded: what the program wants to change (MSEAL_MUTABLE)
  bool data = false;  // writable segments too: their place and protection, not their contents
};

// Calls seal(part, discard_protected) for each part of `vma` that belongs to one of the segments, is private
// and either not writable (text, rodata, and RELRO once the dynamic linker has protected it), or data that is
// wanted. The protection is taken from the mapping, not from the program headers: a segment that something
// keeps writable is still in use.
template <class Sealer>
void select_segments(const Vma& vma, const SegmentChoice& choice, Sealer seal) {
  const bool has_file = vma.inode != 0;
  if (vma.shared || (vma.writable ? !choice.data : !has_file))
    return;  // [vdso] is an object too, but the kernel's
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
