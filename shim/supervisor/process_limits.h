// What could end or hinder this process: the program's limits, signals, a lack of memory.
#pragma once

#include <sys/resource.h>

namespace libmseal::supervisor {

// The limits are the program's, and say nothing about this process: its table is a file of some MiB to the
// kernel. As far up as it may.
void raise_limits();

// Whether it may open as many files, and map as much memory, as the least tree takes.
bool may_open_files();
bool may_map_tables();

// If memory runs out, this process is not the first to be killed: it is small, and the others need it.
void ask_to_be_spared();

// Signals do not end it before the tree: refused calls would fail with ENOSYS then. Those of faults do.
void ignore_signals();

// A process that has used the time on a processor that `ulimit -t` leaves it is killed. A fork begins at
// zero.
class ProcessorTime {
 public:
  ProcessorTime();

  // Goes on in another process, if half of the time is used; this one ends, and lets go of threads that it
  // holds. True if it did.
  [[nodiscard]] bool move_if_wanted();

 private:
  void set_timer() const;

  long half_ = 0;  // ms
};

}  // namespace libmseal::supervisor
