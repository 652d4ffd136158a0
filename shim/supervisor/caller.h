// Who makes a call: a snapshot of the task, taken once for each notification.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "policy/parsers/stat_line.h"
#include "shim/supervisor/record.h"

namespace libmseal::supervisor {

struct Image;

// The memory of an executed image, recognised by addresses that execve sets. Forked children have the same
// ones. Only prctl(PR_SET_MM) changes them, and it is blocked. After execve they differ, unless addresses are
// not randomised.
struct MmIdentity {
  std::uint64_t start_code = 0;
  std::uint64_t start_stack = 0;
  std::uint64_t start_brk = 0;
  std::uint64_t arg_start = 0;
  std::uint64_t env_start = 0;

  static MmIdentity of(const policy::StatLine& stat) {
    return {stat.start_code, stat.start_stack, stat.start_brk, stat.arg_start, stat.env_start};
  }
  bool operator==(const MmIdentity&) const = default;
  // The kernel shows zeros of a process that may not be looked at, and of a task that has no memory any more.
  [[nodiscard]] bool readable() const { return start_stack != 0; }
};

struct Caller {
  enum class Standing : std::uint8_t {
    member,   // of `image`
    foreign,  // proved to run another image: nothing of it is sealed
    unknown,  // it could not be found out: everything may be
  };

  Standing standing = Standing::unknown;
  pid_t task = 0;
  Process process;
  MmIdentity identity;
  bool forked = false;          // it has not called execve since it was forked
  std::uint32_t filters = ~0U;  // so many filters it has; ~0: not known
  // This is certainly the task that made the notification. Otherwise it was looked up by its number, which
  // belongs to that task as long as the call waits.
  bool certain = false;
  Image* image = nullptr;          // of a member
  std::shared_ptr<Record> record;  // never null but for a foreign one
  // Its memory can't be seen, so it may turn out to be foreign. Until then it has the seals that it may have
  // inherited, and may seal nothing.
  bool hidden = false;

  [[nodiscard]] bool may_seal() const { return standing == Standing::member && !hidden; }
  [[nodiscard]] bool foreign() const { return standing == Standing::foreign; }
};

}  // namespace libmseal::supervisor
