// The entries of the kernel that a sealed program does without, because no filter can judge them.
#pragma once

#include <cstdint>

#include "policy/bpf_program.h"

namespace libmseal::shim {

// Writes a program that allows everything but the closed doors in front of `program`. `open` has policy::Door
// bits; the door to a second listener is always closed (a process could approve its own calls through one).
// Returns 0, or -errno.
long write_doors(std::uint8_t open, policy::BpfProgram& program);

}  // namespace libmseal::shim
