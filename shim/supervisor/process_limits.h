// Protects this process against the program's limits, signals, and a lack of memory.
#pragma once

#include <sys/resource.h>

namespace libmseal::supervisor {

// Raises the inherited limits as far as possible. They are meant for the program: for this process a table of
// some MiB would count as a file.
void raise_limits();

// Whether the limits suffice for the files and the memory of the smallest tree.
bool may_open_files();
bool may_map_tables();

// Asks the OOM killer to kill this process last: it is small, and the others need it.
void ask_to_be_spared();

// Ignores signals except those of faults: notified calls would fail with ENOSYS if this process ended first.
void ignore_signals();

// Circumvents a limit on CPU time (`ulimit -t`) by forking: a fork starts at zero.
class ProcessorTime {
 public:
  ProcessorTime();

  // If half of the time is used, continues in a fork; the old process ends, which resumes the threads that it
  // holds. True in the fork.
  [[nodiscard]] bool move_if_wanted();

 private:
  void set_timer() const;

  long half_ = 0;  // ms
};

}  // namespace libmseal::supervisor
