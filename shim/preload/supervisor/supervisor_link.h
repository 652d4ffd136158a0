// The library's side of the communication with the supervisor.
#pragma once

#include <span>
#include <string_view>

#include "policy/protocol/control.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/common/no_copy.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Before the first filter of a tree was installed.
struct BeforeFilter {
  bool program_ran = false;     // so it may have called io_setup
  bool has_own_memory = false;  // no older process shares the program's memory
};

// A supervisor that has been started but not yet given a listener.
class SupervisorLaunch : NoCopy {
 public:
  ~SupervisorLaunch();

  // Starts the program at state.supervisor_path in its own session, without our descriptors, and so that no
  // wait() of the program returns it. It also gets the paths of the policy files. Waits until it is ready and
  // has sent its table. A supervisor that can't serve this program may still send a table with the policy.
  // Once a supervisor was started, later calls return the same.
  Reason start(const State& state);
  [[nodiscard]] const void* table() const { return table_; }
  // Ends the launch; the supervisor is not needed.
  void stop();
  // Keeps the table mapped after this object's lifetime.
  const void* keep_table();
  // Gives the supervisor the listener; with -1, it traces this process and the programs that it starts. Also
  // gives it the seals that are in force from now on (the first filter itself enforces the first `filtered`
  // of them), the watched ranges, the sealed area and the options. Returns its answer; `result` is -errno if
  // it does not serve. With a listener, no notified call may be made between the installation of the filter
  // and the return of this function.
  policy::Serving hand_over(int listener, std::span<const policy::Seal> seals, std::size_t filtered,
                            std::span<const policy::Range> watched, const policy::Range& sealed_area,
                            std::string_view options, const BeforeFilter& before);

 private:
  long create_process(const State& state);
  Reason wait_until_ready(const State& state);

  int socket_ = -1;
  const void* table_ = nullptr;
  Reason failure_;
};

// Joins this process to the supervisor that serves it: a descriptor of the seal table, or -errno as for other
// messages. EXDEV: the supervisor traces this process, which can't open the table (another user or
// namespace).
long ask_to_join();

// Sends a control message through the filter. Returns the answer, or -errno. ENOSYS or EINVAL: there is no
// supervisor.
long send_message(const policy::Control& message);

// Announces what the next `seal` is to seal, several ranges per message if possible: 0 or -errno.
long send_ranges(std::span<const policy::Range> ranges);
// Reports seals, with their attributes: filters enforce the first `filtered` of them, and the supervisor is
// to enforce the others. -errno, or the largest answer.
long send_seals(std::span<const policy::Seal> seals, std::size_t filtered, bool is_alone = false);

}  // namespace libmseal::shim
