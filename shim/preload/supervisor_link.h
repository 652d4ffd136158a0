// The shim's side of the talk with the supervisor.
#pragma once

#include <span>
#include <string_view>

#include "policy/control.h"
#include "policy/range.h"
#include "policy/seal.h"

namespace libmseal::shim {

// A supervisor that has been started but not yet given a listener.
class Launch {
 public:
  Launch() = default;
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Starts the program at `helper` as nobody's child: in a session of its own, with none of our descriptors,
  // out of sight of every wait.
  // With `keeps_stderr` it may write where the program does. 0 or -errno.
  long start(const char* helper, bool keeps_stderr);
  // Waits until it is ready. The table's descriptor, or -errno (that of execve, if it could not be started).
  long wait_ready();
  // Gives it the listener, the seals that it enforces from now on, the hull, the arena in it and the options.
  // 0 once it serves, or -errno. Nothing that the filter notifies may be called between its installation and
  // the end of this.
  long hand_over(int listener, std::span<const policy::Seal> seals, std::span<const policy::Range> hull,
                 const policy::Range& arena, std::string_view options);

 private:
  int socket_ = -1;
};

// One control message through the filter: the answer, or -errno. ENOSYS or EINVAL: there is no supervisor.
long tell_supervisor(const policy::Control& message);

}  // namespace libmseal::shim
