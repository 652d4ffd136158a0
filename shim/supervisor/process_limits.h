// What would end or hinder this process: limits that the program had, signals, a lack of memory.
#pragma once

#include <sys/resource.h>

namespace libmseal::supervisor {

// The limits are the program's, and say nothing about this process: its table is a file of some MiB to the
// kernel. As far up as it may.
void raise_limits();

// Whether it may open as many files, and map as much memory, as the least tree takes.
bool may_open_files();
bool may_map_tables();

// Whoever runs out of memory is not to lose this process first, which is small and which the others need.
void ask_to_be_spared();

// It ends with the tree; earlier, the tree's refused calls would turn to ENOSYS. What tells of a fault stays.
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
