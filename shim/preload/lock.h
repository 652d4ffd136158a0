// The library's one lock: around every change of what is sealed.
//
// The dynamic linker has one of its own, for the list of loaded objects (dl_iterate_phdr). Who needs both
// takes that one first: whoever holds an ExclusiveSection does not ask for the list, but at start, when
// nobody else is there.
#pragma once

#include <atomic>
#include <cstdint>

#include "shim/preload/job.h"
#include "shim/preload/objects_work.h"
#include "shim/preload/working_memory.h"

namespace libmseal::shim {

// Makes the page that the lock lives in, and says what it hands out. Before any ExclusiveSection.
void prepare_lock(WorkingMemory& memory);

// Whether the dynamic linker's list of objects can be had. glibc leaves it locked for ever in a child that is
// forked while another thread goes through it: so not in a child of a program that had threads then.
bool may_ask_dynamic_linker();

// Whether nothing in the ledger is of this process, but perhaps of the one that it was forked from: not all
// that was mapped there need be here (MADV_DONTFORK).
bool ledger_is_of_parent();
void note_ledger_is_own();

// Refused calls of this process that the supervisor has not been told of, and until when more are only
// counted.
struct UntoldRefusals {
  std::atomic<std::uint64_t> count = 0;
  std::atomic<std::uint64_t> quiet_until = 0;  // ns, of CLOCK_MONOTONIC
};
UntoldRefusals& untold_refusals();

// Holds the lock, and with it the job, and keeps signals away, so that no handler of this thread can want it
// too. A child forked while another thread held it finds it open: the page is wiped on fork. Whoever is
// killed while holding it, and shares its memory with others, leaves it locked: they give up after twenty
// seconds in which nobody has let go of it.
class ExclusiveSection {
 public:
  ExclusiveSection();
  ~ExclusiveSection();
  ExclusiveSection(const ExclusiveSection&) = delete;
  ExclusiveSection& operator=(const ExclusiveSection&) = delete;

  [[nodiscard]] bool holds() const { return holds_; }
  // As the last holder left it.
  [[nodiscard]] Job& job() const;

 private:
  [[nodiscard]] static bool wait();

  std::uint64_t signals_ = 0;
  bool holds_ = true;
};

// One thread at a time looks at the loaded objects, and has the memory for that. Never waited for: whoever
// comes second leaves it to the first, for the dynamic linker's own locks are involved.
class ObjectsTurn {
 public:
  ObjectsTurn();
  ~ObjectsTurn();
  ObjectsTurn(const ObjectsTurn&) = delete;
  ObjectsTurn& operator=(const ObjectsTurn&) = delete;
  [[nodiscard]] bool mine() const { return mine_; }
  // Of whoever has the turn, as the last one left it.
  [[nodiscard]] ObjectsWork& work() const;

 private:
  bool mine_;
};

}  // namespace libmseal::shim
