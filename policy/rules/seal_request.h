// Checks the arguments of mseal, before the mappings are read.
#pragma once

#include <cstdint>

#include "policy/rules/abi.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "policy/rules/vma.h"

namespace libmseal::policy {

// Sets `range` (which may be empty) to the pages that mseal(2) would seal. Returns 0, or -EINVAL for an
// unaligned start (whatever the length), or a length or range that wraps.
long check_request(const Machine& machine, std::uint64_t address, std::uint64_t length, Range& range);

// The seal of `part` of the mapping. Without kProtectionType the protection may change later, so
// kContentsType then protects the contents whatever the protection is.
Seal seal_of(const Vma& vma, const Range& part, DiscardRule rule, SealTypes types = kWholeSeal);

// Whether the mapping may consist of huge pages, as far as its maps line shows. mseal(2) of a part of a huge
// page fails with EINVAL.
bool may_have_huge_pages(const Machine& machine, const Vma& vma);

}  // namespace libmseal::policy
