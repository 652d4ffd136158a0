#include "policy/bpf/call_searches.h"

#include <algorithm>

#include "policy/bpf/interval_search.h"

namespace libmseal::policy {

using Label = BpfProgram::Label;

void CallSearches::write(const Ends& ends) {
  ends_ = ends;
  const DeniedRanges& denied = what_.denied;
  const auto search = [&](std::span<const Range> ranges) {
    const Label hit = ranges.empty() ? ends_.refuse : range_.confirm(ends_.refuse, ends_.allow);
    return search_intervals({ranges, hit}, {what_.watched, ends_.delegated}, ends_.allow, range_, out_);
  };
  const bool one_search = std::ranges::equal(denied.ranges, denied.contents);
  if (!one_search) contents_ = search(denied.contents);
  ranges_ = search(denied.ranges);
  if (one_search) contents_ = ranges_;
  (void)given();  // directly before its search
}

Label CallSearches::given() {
  Label& written = range_.has_short_arguments() ? short_given_ : given_;
  if (written == 0) written = range_.set(ranges_, ends_.delegated);
  return written;
}

Label CallSearches::both() {
  if (both_ == 0) {
    const Label second = range_.take_kept(ranges_);
    both_ = search_intervals({what_.denied.ranges, range_.confirm(ends_.refuse, second)}, {}, second, range_,
                             out_);
  }
  return both_;
}

}  // namespace libmseal::policy
