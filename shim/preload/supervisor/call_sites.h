// Sends the call site of a call that touches a seal to the supervisor, for its events file.
// Async-signal-safe.
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// The return address of the call.
using Site = const void*;

// To be called before the call, in an audit.
void announce_call(const State& state, long number, const policy::Arguments& arguments, Site site);

// To be called after the call was refused. If there are too many, refusals by filters of this process are
// only counted.
void report_refusal(const State& state, long number, const policy::Arguments& arguments, Site site);

}  // namespace libmseal::shim
