// The system calls that the library uses, and for which of them a filter kills.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>

#include "policy/rules/mm_call.h"

namespace libmseal::shim {

// What the system calls are for.
enum class Purpose : std::uint16_t {
  message = 1 << 0,          // a message to the supervisor by mseal(2), or that call itself
  wrapped_message = 1 << 1,  // one by mmap
  locking = 1 << 2,          // what every sealing does
  filtering = 1 << 3,        // installing filters
  reading = 1 << 4,          // reading /proc
  searching = 1 << 5,        // looking for threads and sharers without the supervisor
  joining = 1 << 6,          // a start in a tree, and part of every start
  launching = 1 << 7,        // starting a supervisor
  hardening = 1 << 8,        // harden=
  writing = 1 << 9,          // messages on standard error
  optional = 1 << 10,  // what can be left out: reports of refused calls, exec_layout.h, trials of fences,
                       // caution with standard error
};

// Of the calls that the filter kills for: Purpose bits.
std::uint16_t purposes_killed_by(std::span<const sock_filter> program);

// What the filter answers (SECCOMP_RET_*).
std::uint32_t verdict_of(std::span<const sock_filter> program, std::uint32_t number,
                         const policy::Arguments& arguments);

}  // namespace libmseal::shim
