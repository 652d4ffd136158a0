// The program for a single seal. Every memory call runs one for each such seal, so it is short.
#pragma once

#include "policy/bpf/bpf_program.h"
#include "policy/bpf/range_program.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

// One range under one upper word, out of reach of every ABI but the native one, and nothing else asked for.
// Then the architecture need not be looked at: no call of another one names an address so high.
bool is_single_seal(const RangeProgram& what);

// As compile(), of such a program.
void write_single_seal(const Machine& machine, const DeniedRanges& denied, BpfProgram::Label other,
                       BpfProgram& program);

}  // namespace libmseal::policy
