// The library's one lock: around every change of what is sealed.
#pragma once

#include <cstdint>

#include "shim/preload/job.h"
#include "shim/preload/objects_work.h"

namespace libmseal::shim {

// Makes the page that the lock lives in. Before any ExclusiveSection.
void prepare_lock();

// Holds the lock, and with it the job, and keeps signals away, so that no handler of this thread can want it
// too. A child forked while another thread held it finds it open: the page is wiped on fork.
class ExclusiveSection {
 public:
  ExclusiveSection();
  ~ExclusiveSection();
  ExclusiveSection(const ExclusiveSection&) = delete;
  ExclusiveSection& operator=(const ExclusiveSection&) = delete;

  // As the last holder left it.
  [[nodiscard]] Job& job() const;

 private:
  std::uint64_t signals_ = 0;
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
