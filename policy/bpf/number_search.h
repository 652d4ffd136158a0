// Writes the search for the handler of a system call number.
#pragma once

#include <cstdint>
#include <span>

#include "policy/bpf/bpf_program.h"
#include "policy/rules/abi.h"
#include "policy/rules/fixed_vector.h"

namespace libmseal::policy {

struct NumberHandler {
  std::uint32_t number;
  BpfProgram::Label label;
};

inline constexpr std::size_t kMostCalls = 20;  // of an ABI
static_assert(kX86_64Calls.size() <= kMostCalls && kI386Calls.size() <= kMostCalls &&
              kAarch64Calls.size() <= kMostCalls);
using NumberHandlers = FixedVector<NumberHandler, kMostCalls>;

// Goes to the handler of the number in A, or to `other`; to `beyond` if the number is above all of them, and
// perhaps if it is close to the last one. `handlers` are sorted by number.
//
// When a filter is installed, the kernel runs it once for every number, so the search is binary.
BpfProgram::Label search_number(std::span<const NumberHandler> handlers, BpfProgram::Label other,
                                BpfProgram::Label beyond, BpfProgram& program);

}  // namespace libmseal::policy
