// Other programs of the same tree, started one after the other.
#pragma once

#include "policy/protocol/control.h"
#include "shim/common/machine.h"
#include "tests/attacks/attack.h"
#include "tests/support/message.h"

namespace libmseal::tests {

// Under the library, as this one: the supervisor gets to know an image more.
inline void run_program(const char* path = "/bin/true") {
  const int child = ::fork();
  if (child == 0) {
    ::execl(path, path, nullptr);
    ::_exit(126);
  }
  (void)outcome_of(child);
}

// So many that the supervisor, when it is idle, looks for processes that have ended and forgets them.
inline void make_forget() {
  for (int count = 0; count < 70; ++count) run_program();
  ::usleep(200'000);
}

// Tells the supervisor, past the library, that `page` is to be sealed, or is.
inline long forge(policy::Control::Kind kind, char* page, bool protects_contents = true) {
  using Kind = policy::Control::Kind;
  const bool is_sealed = kind == Kind::add_supervised || kind == Kind::add_filtered;
  const auto range = kind == Kind::filters_are_in
                         ? policy::Range{}
                         : policy::Range::of(reinterpret_cast<std::uint64_t>(page), kPage);
  const auto said = policy::encode({kind, {range, is_sealed && protects_contents, 0}});
  bool malformed = false;
  (void)policy::decode_control(shim::this_machine(), said, malformed);
  if (malformed) std::abort();  // nobody would listen
  return policy::decode_answer(tell_supervisor(said));
}

// A child that sends the supervisor a message, by which that gets to know one more process, and ends.
inline void make_known() {
  const int child = ::fork();
  if (child == 0) {
    const auto page = reinterpret_cast<std::uint64_t>(&make_known) & -kPage;
    (void)forge(policy::Control::Kind::prepare, reinterpret_cast<char*>(page));
    ::_exit(0);
  }
  if (outcome_of(child) != kHeld) std::abort();
}

}  // namespace libmseal::tests
