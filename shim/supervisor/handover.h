// How the supervisor gets its listener from the library that started it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "policy/protocol/control.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::supervisor {

struct Handover {
  pid_t process = 0;  // that of the library
  int listener = -1;  // -1: the program is to be traced by ptrace instead
  std::vector<policy::Seal> seals;
  std::size_t filtered = 0;  // the first filter itself refuses this many of the seals, the first ones
  std::vector<policy::Range> watched;
  policy::Range sealed_area;
  std::string options;
  bool ran_before_filter = false;  // the program, which may have called io_setup
  bool has_own_memory = false;     // no older process shares the program's memory
  bool may_be_subreaper = false;   // the program may be a subreaper
};

// False if the program was started by hand.
bool started_by_library();

// The library's process; 0 if not known.
pid_t peer();

// Tells the library what is wrong. `table`: one that has only the policy; -1: there is none.
void report_trouble(policy::Trouble trouble, int error, int table = -1);

// Sends the table, and waits. Nothing if the library does not need a supervisor or has another version.
std::optional<Handover> receive_handover(int table);

// Lets the library continue. From then on, filters may send its calls to the supervisor.
void acknowledge(const policy::Serving& answer);

}  // namespace libmseal::supervisor
