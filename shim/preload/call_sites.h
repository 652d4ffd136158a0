// Where in the program a call comes from that touches a seal: told to the supervisor, for its file of events.
// Async-signal-safe.
#pragma once

#include "policy/rules/mm_call.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// The address that the call returns to.
using Site = const void*;

// Before the call is made, for an audit.
void announce_call(const State& state, long number, const policy::Arguments& arguments, Site site);

// Once it was refused. While too many are, those that a filter of this process refused are only counted.
void report_refusal(const State& state, long number, const policy::Arguments& arguments, Site site);

}  // namespace libmseal::shim
