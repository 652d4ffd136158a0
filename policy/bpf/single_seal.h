// The short program for a single seal. Every memory call runs one for each such seal.
#pragma once

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/range_program.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

// Whether it is enough: one range whose ends have the same upper word, out of reach of every ABI but the
// native one, and nothing else. Then the program need not check the architecture.
bool is_single_seal(const RangeProgram& what);

// As compile(), for such a program.
void write_single_seal(const Machine& machine, const DeniedRanges& denied, BpfProgram::Label other,
                       BpfProgram& program);

}  // namespace libmseal::policy
