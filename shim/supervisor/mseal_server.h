// mseal(2) itself, for programs that no preload reaches.
#pragma once

#include <sys/types.h>

#include <functional>

#include "policy/mm_call.h"
#include "policy/seal.h"
#include "shim/supervisor/calls_let_through.h"

namespace libmseal::supervisor {

// What serving a seal takes of the rest of the supervisor.
struct SealTarget {
  pid_t task = 0;  // who asks
  policy::DiscardRule discard = policy::DiscardRule::strict;
  CallsLetThrough& calls;
  std::function<bool(pid_t)>
      shares_memory;  // whether that task has, or may have, the memory of the one who asks
  std::function<bool(const policy::Seal&)> add;  // puts a seal in force. False: no room
};

// Seals as mseal(2) does: 0 or -errno, with nothing sealed. -EAGAIN: the seal could not be enforced, because
// brk may reach the range, or because a thread stays inside a call that may change it. Arguments are those of
// the call: address, length, flags.
long serve_mseal(const policy::Machine& machine, const policy::Arguments& arguments,
                 const SealTarget& target);

}  // namespace libmseal::supervisor
