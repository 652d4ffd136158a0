// The task that makes a call: a snapshot, taken once for each notification.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <memory>

#include "policy/parsers/stat_line.h"
#include "shim/supervisor/registry/seal_record.h"

namespace libmseal::supervisor {

struct Image;

// Identifies the memory of an executed image by addresses that execve sets. Forked children have the same
// addresses. Only prctl(PR_SET_MM), which is blocked, changes them. After another execve they differ, unless
// addresses are not randomized.
struct MmIdentity {
  std::uint64_t start_code = 0;
  std::uint64_t start_stack = 0;
  std::uint64_t start_brk = 0;
  std::uint64_t arg_start = 0;
  std::uint64_t env_start = 0;

  static MmIdentity of(const policy::StatLine& stat) {
    return {stat.start_code, stat.start_stack, stat.start_brk, stat.arg_start, stat.env_start};
  }
  auto operator<=>(const MmIdentity&) const = default;
  // The kernel shows zeros for a process that may not be inspected, and for a task without memory.
  [[nodiscard]] bool readable() const { return start_stack != 0; }
};

struct Caller {
  enum class Standing : std::uint8_t {
    member,   // a process of `image`
    foreign,  // proved to run an image without seals
    unknown,  // could not be identified: the seals of all processes apply
  };

  Standing standing = Standing::unknown;
  pid_t task = 0;
  Process process;
  MmIdentity identity;
  bool forked = false;          // it has not called execve since it was forked
  std::uint32_t filters = ~0U;  // the number of its filters; ~0: not known
  // Its process had no other thread. It gets none while the call waits, but before Linux 5.19 a signal can
  // end that.
  bool only_thread = false;
  // This is certainly the task that made the notification. Otherwise it was looked up by its ID, which is
  // reliable only while the call waits.
  bool certain = false;
  Image* image = nullptr;              // of a member
  std::shared_ptr<SealRecord> record;  // null only for a foreign one
  // Its memory can't be inspected, so it may turn out to be foreign. Until then it has the seals that it may
  // have inherited, and may not seal anything.
  bool hidden = false;

  [[nodiscard]] bool may_seal() const { return standing == Standing::member && !hidden; }
  [[nodiscard]] bool foreign() const { return standing == Standing::foreign; }
  // Whether the last search for sharers found none.
  [[nodiscard]] bool was_alone() const { return record->alone.still && record->alone.process == process; }
  // No other process shared its memory at `since` (sharers.h).
  void note_alone(const shim::ForkSample& since) const { record->alone = {process, since, true}; }
};

}  // namespace libmseal::supervisor
