// How the supervisor gets its listener from the shim that started it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/protocol/control.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::supervisor {

struct Handover {
  pid_t process = 0;  // the shim's
  int listener = -1;
  std::vector<policy::Seal> seals;
  std::size_t filtered = 0;  // so many of them, the first ones, are refused by the first filter itself
  std::vector<policy::Range> watched;
  policy::Range arena;
  std::string options;
  bool is_late = false;    // the program may have made rings of io_setup
  bool may_adopt = false;  // others' children may become those of the program
};

// Where the shim puts the supervisor's end of the socket pair.
inline constexpr int kHandoverSocket = 3;

// Whether there is a shim: the program may have been started by hand.
bool started_by_shim();

// The shim's process; 0 if nobody knows.
pid_t peer();

// Tells the shim why there is no table.
void report_trouble(policy::Trouble trouble, int error);
// With a table that has only the policy.
void report_trouble(policy::Trouble trouble, int error, int table);

// Offers the table, and waits. Nothing if the shim changed its mind or does not speak our version.
std::optional<Handover> receive_handover(int table);

// Lets the shim go on. From here on its calls may be notified.
void acknowledge(const policy::Serving& answer);

}  // namespace libmseal::supervisor
