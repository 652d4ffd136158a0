// Reads which mappings lie in given ranges and makes seals of them ("pieces"). The library does this for its
// own process, the supervisor for others.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>

#include "policy/rules/protection_key.h"
#include "policy/rules/seal.h"
#include "policy/rules/seal_request.h"
#include "shim/common/line_reader.h"
#include "shim/common/maps_reader.h"
#include "shim/common/processor_keys.h"

namespace libmseal::shim {

// Open: open("maps") opens that file of the process in /proc: a descriptor, or -errno.
template <class Open>
class PieceSearch {
 public:
  PieceSearch(const policy::Machine& machine, policy::DiscardRule discard, policy::SealTypes types, Open open)
      : machine_(machine), discard_(discard), types_(types), open_(open) {}

  // Puts the mappings in `ranges` (sorted, disjoint, not empty) into `pieces`: 0 or -errno. ENOMEM: a page is
  // not mapped; EINVAL: a range begins or ends inside a huge page; E2BIG: there are more than `most` pieces.
  template <class Pieces>
  long find(std::span<const policy::Range> ranges, Pieces& pieces, std::size_t most) {
    pieces.clear();
    heap_ = {};
    const policy::Range* range = ranges.data();
    const policy::Range* const end = range + ranges.size();
    std::uint64_t next = range->start;  // mapped up to here
    bool fits = true;
    bool whole = true;
    bool cuts = false;
    const long read = read_maps(open_("maps"), [&](const policy::Vma& vma) {
      if (vma.name == "[vsyscall]") return false;  // not a real mapping: nothing can change it
      while (range != end && vma.range.end > next) {
        whole = whole && vma.range.start <= next;
        if (!whole) return false;
        const policy::Range part = policy::intersection(vma.range, *range);
        if (vma.name == "[heap]") heap_ = vma.range;
        cuts = cuts || cuts_huge_page(vma, part);
        fits = fits && policy::add_seal(pieces, policy::seal_of(vma, part, discard_, types_), most);
        next = part.end;
        if (next < range->end) return true;
        if (++range != end) next = range->start;
      }
      return range != end;
    });
    if (read != 0) return unreadable(read);
    if (!fits) return -E2BIG;
    if (range != end) return -ENOMEM;
    return cuts ? -EINVAL : 0;
  }

  // The highest possible end of the heap when maps was read, if the break was at `before` some time before
  // that, or, if `before` is no break, at least that. A mapping that the kernel calls [heap] begins at the
  // break or below.
  [[nodiscard]] std::uint64_t heap_end(std::uint64_t before, bool is_break = true) const {
    return heap_.start < before || !is_break ? std::max(before, heap_.end) : before;
  }

  // Puts the private writable mappings in `ranges` that have a protection key into `keyed`, and protects the
  // contents of their `pieces`. 0 or -errno.
  template <class Pieces, class Keyed>
  long find_keyed(std::span<const policy::Range> ranges, Pieces& pieces, std::size_t most_pieces,
                  Keyed& keyed, std::size_t most_keyed) const {
    keyed.clear();
    if (!types_.has(policy::kContentsType)) return 0;
    const bool writable_parts =
        std::any_of(pieces.begin(), pieces.end(), [](const auto& piece) { return !piece.discard_protected; });
    if (!writable_parts || !processor_has_keys()) return 0;
    policy::Vma current;
    bool anonymous = false;
    bool fits = true;
    const long read = read_lines(open_("smaps"), [&](std::string_view line) {
      if (const auto vma = policy::parse_maps_line(line)) {
        current = *vma;
        current.name = {};  // it points into the line, which is overwritten by the next one
        anonymous = vma->anonymous();
        return current.range.start < ranges.back().end;
      }
      const auto key = policy::parse_key_line(line);
      if (!key || *key == 0 || current.shared || !current.writable) return true;
      for (const policy::Range& range : ranges) {
        if (!current.range.touches(range)) continue;
        policy::Seal kept{policy::intersection(current.range, range)};
        kept.types = types_;
        kept.discard_protected = true;
        fits = fits && policy::add_seal(pieces, kept, most_pieces);
        if (!anonymous) continue;
        fits = fits && keyed.size() < most_keyed;
        if (fits) (void)keyed.push_back({kept.range, *key});
      }
      return true;
    });
    if (read != 0) return unreadable(read);
    return fits ? 0 : -E2BIG;
  }

 private:
  // Errors of the file, changed where they could be mistaken for errors of the ranges.
  static long unreadable(long error) {
    return error == -ENOMEM || error == -EINVAL || error == -E2BIG ? -EIO : error;
  }

  // Whether `part` begins or ends inside a huge page.
  [[nodiscard]] bool cuts_huge_page(const policy::Vma& vma, const policy::Range& part) const {
    const std::uint64_t largest = machine_.huge_pages.back();
    if (part.start % largest == 0 && part.end % largest == 0) return false;
    if (part == vma.range || !policy::may_have_huge_pages(machine_, vma)) return false;
    const std::uint64_t page = page_size_at(open_("smaps"), vma.range.start);
    return page == ~0ULL || part.start % page != 0 || part.end % page != 0;
  }

  const policy::Machine& machine_;
  policy::DiscardRule discard_;
  policy::SealTypes types_;
  Open open_;
  policy::Range heap_;  // the last mapping in the ranges that the kernel calls so
};

// Whether the result is a failure to read. Otherwise it is about the ranges themselves.
inline bool is_read_error(long result) {
  return result != 0 && result != -ENOMEM && result != -EINVAL && result != -E2BIG;
}

// Whether the seals from the first reading (`pieces`, `breaks`) cover what a second one has found, with all
// of its attributes.
inline bool still_covers(std::span<const policy::Seal> pieces, const policy::Range& breaks,
                         std::span<const policy::Seal> now, const policy::Range& breaks_now) {
  if (!breaks_now.empty() && !breaks.contains(breaks_now)) return false;
  return std::all_of(now.begin(), now.end(), [&](const policy::Seal& piece) {
    const auto as_strict = [&](const policy::Seal& seal) {
      return seal.joined_with(piece, seal.range) == seal;
    };
    return policy::coverage(pieces, piece.range, as_strict) == policy::Coverage::fully;
  });
}

}  // namespace libmseal::shim
