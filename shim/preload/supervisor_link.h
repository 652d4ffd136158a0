// The shim's side of the talk with the supervisor.
#pragma once

#include <span>
#include <string_view>

#include "policy/protocol/control.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/state.h"

namespace libmseal::shim {

// A supervisor that has been started but not yet given a listener.
class Launch {
 public:
  Launch() = default;
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  // Starts the program at state.supervisor_path as nobody's child: in a session of its own, with none of our
  // descriptors, out of sight of every wait, with the policy files that it reads. Does nothing if it was
  // started. 0 or -errno.
  long start(const State& state);
  // Waits until it is ready and its table is there. 0 or -errno; what went wrong is in words then. A table
  // may be there all the same: of a supervisor that can't serve this program, with the policy alone.
  long wait_ready();
  [[nodiscard]] std::string_view trouble() const { return trouble_; }
  [[nodiscard]] const void* table() const { return table_; }
  // Without it after all.
  void stop();
  // The table stays when this object goes.
  const void* keep_table();
  // Gives it the listener, the seals that are in force from now on (the first `filtered` of them by the
  // first filter itself), the watched ranges, the arena and the options.
  // What it answers once it serves; `result` is -errno if it does not. Nothing that the filter notifies may
  // be called between its installation and the end of this.
  policy::Serving hand_over(int listener, std::span<const policy::Seal> seals, std::size_t filtered,
                            std::span<const policy::Range> watched, const policy::Range& arena,
                            std::string_view options, bool is_late);

 private:
  int socket_ = -1;
  long failure_ = 0;
  const void* table_ = nullptr;
  std::string_view trouble_;
};

// One control message through the filter: the answer, or -errno. ENOSYS or EINVAL: there is no supervisor.
long tell_supervisor(const policy::Control& message);

// The same of every range, several to a message where the channel has room for them: 0, or the first other
// answer.
long tell_supervisor_of(policy::Control message, std::span<const policy::Range> ranges);
// The same of seals, with their attributes.
long tell_supervisor_of(policy::Control::Kind kind, std::span<const policy::Seal> seals);

}  // namespace libmseal::shim
