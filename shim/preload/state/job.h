// The data of one seal request, from mseal() to a filter. There is only one job, which the lock protects
// (lock.h): it is too large for a thread's stack, and nothing is allocated once the program runs.
#pragma once

#include <cstdint>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/fixed_vector.h"
#include "policy/rules/protection_key.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/table_size.h"

namespace libmseal::shim {

using Pieces = policy::FixedVector<policy::Seal, kMostPieces>;
using Ranges = policy::FixedVector<policy::Range, kMostPieces>;

// The mappings in the requested ranges.
struct FoundMappings {
  Pieces pieces;                                              // sorted, disjoint
  policy::FixedVector<policy::KeyedRange, kMostKeyed> keyed;  // of these: the writable ones with a key
  policy::Range refused_breaks;  // the arguments of brk that would unmap one of these pieces
};

// A filter that is being written, and the compiler's input.
struct Draft {
  policy::BpfProgram program;
  Ranges ranges;
  Ranges contents;
  policy::FixedVector<std::uint64_t, 256> attachments;
};

struct Job {
  policy::FixedVector<policy::Range, kMostRanges> wanted;  // what is to be sealed
  policy::SealTypes types{};
  FoundMappings found;  // what is mapped there
  Pieces covered;       // what is refused already
  Draft draft;
};

}  // namespace libmseal::shim
