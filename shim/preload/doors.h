// The entries of the kernel that a sealed program does without, because no filter can judge them.
#pragma once

#include "policy/bpf_program.h"
#include "policy/options.h"

namespace libmseal::shim {

// Writes a program that allows everything but the doors that the options leave closed in front of `program`.
// The door to a second listener is always closed: a process could approve its own calls through one. Returns
// 0, or -errno. `supervised`: there is somebody to notify.
long write_doors(const policy::Options& options, bool supervised, policy::BpfProgram& program);

}  // namespace libmseal::shim
