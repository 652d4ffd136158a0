// Seccomp filters from before the library started: of a service, container or sandbox, or of this tree.
#pragma once

#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Sets state.earlier_filters, state.barred and g_killed_calls. A child tries the calls, unless filters of the
// library are in force, which shows that these calls do not kill.
void look_at_earlier_filters(State& state);

// Whether enabling tagged addresses is refused, which only the library's filters do.
bool tagging_is_refused();

}  // namespace libmseal::shim
