// Sealing as the supervisor says: it looks at the program's memory while the threads stand still. The program
// itself makes no system calls for it but mseal, seccomp and brk.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

struct Wanted {
  policy::Range range;
  bool constant = false;   // only what is private there and can't be written
  bool with_data = false;  // and what can, of a constant one
};

struct Asked {
  bool must_look = false;  // the supervisor may not look: see own_sealing.h
  long result = 0;         // else 0 or -errno
};
Asked seal_by_supervisors_look(State& state, std::span<const Wanted> wanted);

// Asks the supervisor to refuse what touches the piece. False if it does not.
bool seal_by_supervisor(const policy::Seal& piece);

}  // namespace libmseal::shim
