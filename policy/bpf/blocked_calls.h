// Calls that are blocked by their number and by constant arguments.
//
// libseccomp compiles the rules (libseccomp_rules.h) when this project is built, with a placeholder for the
// answer of each rule. The functions here replace the placeholders as the options say.
#pragma once

#include <bit>
#include <cstdint>

#include "policy/bpf/bpf_program.h"
#include "policy/configuration/options.h"
#include "policy/rules/abi.h"

namespace libmseal::policy {

// Both functions prepend a program to `program` that allows every other call.

// Blocks the calls that no filter can decide, except those that the options open. A second listener is always
// refused: with one, a process could approve its own calls. `notified`: what the supervisor is notified of.
struct NotifiedCalls {
  bool lineage = false;  // parent_changes.h
  bool starts = false;   // a fresh image is about to run
};
void write_blocked_calls(const Machine& machine, const Options& options, const NotifiedCalls& notified,
                         BpfProgram& program);

// `what`: Hardening bits.
void write_hardening(const Machine& machine, unsigned what, BpfProgram& program);

// The bits of rules that do not depend on options. kProgramStart is for set_tid_address, which the dynamic
// linker calls once in a new image, after it has mapped the objects.
inline constexpr std::uint32_t kProgramStart = 1U << 31;
inline constexpr std::uint32_t kLineage = 1U << 30;

// The answer of a compiled rule until the options are known: SECCOMP_RET_TRACE, which is otherwise not used,
// with the BlockedCall or Hardening bit of the rule and the error that refuses the call.
struct Placeholder {
  std::uint32_t bit;
  std::uint32_t error;

  [[nodiscard]] constexpr std::uint32_t action() const {
    return SECCOMP_RET_TRACE | static_cast<std::uint32_t>(std::countr_zero(bit)) << 8 | error;
  }
  [[nodiscard]] constexpr std::uint32_t refusal() const { return SECCOMP_RET_ERRNO | error; }

  static constexpr bool is_one(std::uint32_t action) {
    return (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE;
  }
  static constexpr Placeholder of(std::uint32_t action) {
    return {1U << ((action & SECCOMP_RET_DATA) >> 8), action & 0xFF};
  }
};

}  // namespace libmseal::policy
