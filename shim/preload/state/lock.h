// The library's only lock: it protects every change of the seals.
//
// The dynamic linker has its own lock for the list of loaded objects (dl_iterate_phdr), which must be taken
// first: a holder of an ExclusiveSection must not read the list, except at start, when there is only one
// thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/common/no_copy.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/objects_work.h"
#include "shim/preload/state/working_memory.h"

namespace libmseal::shim {

// Maps the page that contains the lock. `memory` is what the lock protects. Before any ExclusiveSection.
void prepare_lock(WorkingMemory& memory);

// Whether the dynamic linker's list of objects can be read. In a child that is forked while another thread
// reads the list, glibc leaves it locked for ever. So it can't in a child of a program that had threads.
bool may_ask_dynamic_linker();

// Whether all local seals are from before this process was forked. Some of those mappings may be missing
// here (MADV_DONTFORK).
bool local_seals_are_of_parent();
void note_local_seals_are_own();

// Whether this process, with the given ID, is the one that has this memory, and not a child that shares it
// (vfork).
bool is_process_of_memory(long process);

// The refused calls of this process that the supervisor does not know of yet, and the time until which more
// are only counted.
struct UnreportedRefusals {
  std::atomic<std::uint64_t> count = 0;
  std::atomic<std::uint64_t> quiet_until = 0;  // ns, of CLOCK_MONOTONIC
};
UnreportedRefusals& unreported_refusals();

// Holds the lock, which protects the job, and blocks signals, so that no handler of this thread can want the
// lock, too. In a forked child the lock is always free, because its page is wiped on fork. If a process that
// shares its memory is killed while it holds the lock, the lock stays locked; the others give up after twenty
// seconds without a release.
class ExclusiveSection : NoCopy {
 public:
  ExclusiveSection();
  ~ExclusiveSection();

  [[nodiscard]] bool holds() const { return holds_; }
  // Still has the data of the last holder.
  [[nodiscard]] Job& job() const;

 private:
  [[nodiscard]] static bool wait();

  std::uint64_t signals_ = 0;
  bool holds_ = true;
};

// Lets one thread at a time examine the loaded objects, with the working memory for that. A second thread
// does not wait: it returns without examining them, because the dynamic linker's locks are involved.
class ObjectsTurn : NoCopy {
 public:
  ObjectsTurn();
  ~ObjectsTurn();
  [[nodiscard]] bool mine() const { return mine_; }
  // Only for the holder of the turn. Still has the data of the last one.
  [[nodiscard]] ObjectsWork& work() const;

 private:
  bool mine_;
};

}  // namespace libmseal::shim
