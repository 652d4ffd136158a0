// /proc/PID/syscall (proc(5)): where in the kernel a thread is.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/rules/abi.h"

namespace libmseal::policy {

enum class Whereabouts : std::uint8_t {
  elsewhere,  // asleep outside of every call that changes memory
  in_call,    // in one that does, or that is blocked where there are seals
  cloning,    // in one that may make another process with this memory
  running,    // on a processor, or about to be
};

// When the call began that a thread is in.
enum class Begun : std::uint8_t {
  under_filters,  // after the first filter was in force, which refuses calls that are too wide, and x32
  perhaps_before,
};

// Nothing if the line has not the form that the kernel gives it. The line does not show the ABI of the call:
// a number counts that does so in any of them. Under filters, not where the arguments are too wide for that
// ABI.
std::optional<Whereabouts> parse_syscall_line(const Machine& machine, std::string_view line,
                                              Begun begun = Begun::under_filters);

}  // namespace libmseal::policy
