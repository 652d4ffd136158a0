// Checks what mseal is asked for, before anybody looks at the mappings.
#pragma once

#include <cstdint>

#include "policy/rules/abi.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "policy/rules/vma.h"

namespace libmseal::policy {

// The pages of a request as mseal(2) reads it, which takes them to be `range`, maybe empty. 0, or -EINVAL: an
// unaligned start (whatever the length), or a length or range that wraps.
long check_request(const Machine& machine, std::uint64_t address, std::uint64_t length, Range& range);

// Whether a discarding madvise is refused once the mapping is sealed: it is private and not writable, and,
// by the kernel's own rule, anonymous.
bool discard_protected(const Vma& vma, DiscardRule rule);

// The seal of `part` of the mapping. Without kProtectionType the mapping may become writable or read-only
// later, so sealed contents are protected in any case.
Seal seal_of(const Vma& vma, const Range& part, DiscardRule rule, SealTypes types = kWholeSeal);

// Whether the mapping may be of huge pages, as far as its line shows. mseal(2) of a part of a huge page is
// EINVAL.
bool may_have_huge_pages(const Machine& machine, const Vma& vma);

}  // namespace libmseal::policy
