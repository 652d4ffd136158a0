// Reads the seal table, which the supervisor may be writing at the same time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "policy/configuration/tree_options.h"
#include "policy/rules/seal.h"
#include "shim/preload/state/job.h"

namespace libmseal::shim {

// Reads the sealed area of the tree from the table in `descriptor`; empty if there is none. 0, or -errno:
// EPROTO for a table of another version.
long read_sealed_area(long descriptor, policy::Range& sealed_area);

// Maps the table for reading, and closes `descriptor`. The same errors.
long map_table(long descriptor, const void*& memory);
void unmap_table(const void* memory);

// `partly` if it is not known.
policy::Coverage table_coverage(const void* memory, const policy::Range& range);

// Copies what the supervisor has found for a request of this process. False if another request has replaced
// it.
bool take_found(const void* memory, std::uint32_t ticket, FoundMappings& found);

// The fences of this image; complete when it joins.
std::span<const policy::Range> table_fences(const void* memory);

// The options of the tree. These and the texts below are set before the library gets the table.
policy::TreeOptions table_tree_options(const void* memory);

// The options that the policy files give this image, in the form of MSEAL_OPTIONS.
std::string_view table_policy(const void* memory);

// Mistakes in those files, one line each; only in the table of a tree's first image.
std::string_view table_complaints(const void* memory);

}  // namespace libmseal::shim
