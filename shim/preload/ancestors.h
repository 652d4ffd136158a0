// What the ancestors of this process have said already.
//
// What goes wrong for one process of a tree usually goes wrong for all, and one line about it is enough. So
// the line leaves a mark that forks and executed images inherit: a seccomp filter that answers a question
// which nobody else asks. An environment variable would not do: the environment belongs to the program.
#pragma once

#include <cstdint>
#include <string_view>

#include "shim/preload/state.h"

namespace libmseal::shim {

enum class Notice : std::uint8_t {
  weaker_backend = 1,  // detail: which one
  unsealed_objects,
  unread_policies,
  unwritten_events,
  complaint,  // detail: the text's
};

// True if this is to be said: no ancestor has. Then it counts as said, for this process and its descendants.
// `error` is what is behind it: where no mark can be left, a parent under the library has said what is wrong
// for good (a missing file), and maybe not what is wrong now (no descriptor left).
bool first_in_tree(const State& state, Notice notice, std::uint32_t detail, long error);

// Asks for the marks that matter later. To be called before the backend `filters` starts: its own filter
// would answer the question.
void look_for_marks();

// Leaves the marks that had to wait until the backend had started, and again those that its filter hides.
void leave_marks(const State& state);

// For the detail of a complaint.
std::uint32_t detail_of(std::string_view text);

// Whether the process that started this one runs under the library, too. No, if that can't be told.
bool parent_is_under_library(const State& state);

}  // namespace libmseal::shim
