// Reads the seal table, which the supervisor may be writing at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "policy/configuration/tree_rules.h"
#include "policy/rules/seal.h"
#include "shim/preload/job.h"

namespace libmseal::shim {

// The arena of the tree that the table behind `descriptor` belongs to; empty if it has none. 0, or -errno:
// EPROTO for a table of another version.
long read_arena(long descriptor, policy::Range& arena);

// Maps the table for reading, and closes `descriptor`. The same errors.
long map_table(long descriptor, const void*& memory);
void unmap_table(const void* memory);

// `partly` where it can't be told.
policy::Coverage table_coverage(const void* memory, const policy::Range& range);

// What the supervisor has found of memory that this process wants to have sealed. False if it is not there
// any more.
bool take_found(const void* memory, std::uint32_t ticket, Found& found);

// The fences of this image, which are all there when it joins.
std::span<const policy::Range> table_fences(const void* memory);

// Of the tree. Set, as the rest below, before anybody has the table.
policy::TreeRules table_rules(const void* memory);

// What the policy files say about this image, as text of MSEAL_OPTIONS.
std::string_view table_policy(const void* memory);

// What is wrong with those files, a line each; only in the table of a tree's first image.
std::string_view table_complaints(const void* memory);

}  // namespace libmseal::shim
