// Which messages this process and its ancestors have already printed.
//
// A problem of one process usually affects the whole tree, and one line about it is enough. So a printed
// message leaves a notice filter, which forks and executed images inherit: a seccomp filter that answers an
// otherwise unused call. An environment variable would not work: the environment belongs to the program.
#pragma once

#include <cstdint>
#include <string_view>

#include "shim/preload/state/state.h"

namespace libmseal::shim {

enum class Notice : std::uint8_t {
  weaker_backend = 1,  // detail: which one
  unsealed_objects,
  unread_policies,
  unwritten_events,
  complaint,  // detail: a hash of the text
};

// True if no ancestor has printed this message. It is then noted as printed, for this process and its
// descendants. `error` is its cause: if no filter can be installed, a parent under the library is assumed to
// have printed messages about permanent errors (a missing file), but not temporary ones (no descriptor left).
bool first_in_tree(const State& state, Notice notice, std::uint32_t detail, long error);

// Asks the notice filters. To be called before the backend `filters` starts, whose filter would hide them.
void look_for_notices();

// Installs the notice filters that had to wait until the backend had started, and again those that its filter
// hides.
void leave_notices(const State& state);

// For the detail of a complaint.
std::uint32_t detail_of(std::string_view text);

}  // namespace libmseal::shim
