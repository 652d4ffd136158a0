// Which memory of a loaded ELF object never changes again.
#pragma once

#include <span>

#include "policy/maps_line.h"
#include "policy/range.h"

namespace libmseal::policy {

// Calls seal(part) for each part of `vma` that belongs to one of the loaded segments (page-rounded PT_LOAD
// extents, sorted or not) and is private and not writable: text, rodata, and RELRO once the dynamic linker
// has protected it. The protection is taken from the mapping, not from the program headers: a segment that
// something keeps writable is still in use.
template <class Sealer>
void select_segments(const Vma& vma, std::span<const Range> segments, Sealer seal) {
  if (vma.writable || vma.shared) return;
  for (const Range& segment : segments) {
    const Range part = intersection(vma.range, segment);
    if (!part.empty()) seal(part);
  }
}

}  // namespace libmseal::policy
