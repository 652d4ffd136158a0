// How the supervisor gets its listener from the shim that started it.
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
  pid_t process = 0;  // the shim's
  int listener = -1;  // -1: calls are to be notified by ptrace
  std::vector<policy::Seal> seals;
  std::size_t filtered = 0;  // the first filter itself refuses this many of the seals, the first ones
  std::vector<policy::Range> watched;
  policy::Range sealed_area;
  std::string options;
  bool ran_before_filter = false;  // the program, which may have called io_setup
  bool may_be_subreaper = false;   // the program may be a subreaper
};

// False if the program was started by hand.
bool started_by_library();

// The shim's process; 0 if not known.
pid_t peer();

// Tells the shim what is wrong. `table`: one that has only the policy; -1: there is none.
void report_trouble(policy::Trouble trouble, int error, int table = -1);

// Sends the table, and waits. Nothing if the shim does not need a supervisor or has another version.
std::optional<Handover> receive_handover(int table);

// Lets the shim continue. From then on its calls may be notified.
void acknowledge(const policy::Serving& answer);

}  // namespace libmseal::supervisor
