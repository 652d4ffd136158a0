// /proc/PID/syscall (proc(5)): which system call a thread is in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/rules/abi.h"

namespace libmseal::policy {

enum class Whereabouts : std::uint8_t {
  elsewhere,  // asleep, but not in one of the calls below
  in_call,    // in a call that changes memory, or that is blocked in sealed processes
  cloning,    // in a call that may create a process that shares this memory
  running,    // on a processor or runnable
};

// When a thread's current call began.
enum class Begun : std::uint8_t {
  under_filters,  // after the first filter was installed, which refuses too wide i386 calls, and x32
  perhaps_before,
};

// Nothing if the line is malformed. The line does not show the ABI of the call, so the number is looked up in
// every ABI. Under filters, an ABI is ruled out if the arguments are too wide for it.
std::optional<Whereabouts> parse_syscall_line(const Machine& machine, std::string_view line,
                                              Begun begun = Begun::under_filters);

}  // namespace libmseal::policy
