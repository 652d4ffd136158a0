// Reads the seal table, which the supervisor may be writing at the same time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/fixed_vector.h"
#include "policy/seal.h"
#include "policy/tree_rules.h"

namespace libmseal::shim {

// False if the memory holds no table.
bool is_table(const void* memory);

policy::Coverage table_coverage(const void* memory, const policy::Range& range);

using Fences = policy::FixedVector<policy::Range, 1024>;

// The fences as they are now; false if there are more than fit.
bool table_fences(const void* memory, Fences& fences);

// The arena of the tree; empty if it has none.
policy::Range table_arena(const void* memory);

policy::TreeRules table_rules(const void* memory);

}  // namespace libmseal::shim
