#include "policy/seal_request.h"

#include <cerrno>

namespace libmseal::policy {

long check_request(const Machine& machine, std::uint64_t address, std::uint64_t length, Range& range) {
  const std::uint64_t start = address & machine.address_mask;
  const std::uint64_t rounded = round_up(length, machine.page_size);
  if (start % machine.page_size != 0 || (length != 0 && rounded == 0)) return -EINVAL;
  range = Range::of(start, rounded);
  return range.end < range.start ? -EINVAL : 0;
}

bool keeps_contents(const Vma& vma, DiscardRule rule) {
  if (vma.writable || vma.shared) return false;
  return rule == DiscardRule::strict || vma.anonymous();
}

}  // namespace libmseal::policy
