// The library's one lock: around every change of what is sealed.
#pragma once

#include <cstdint>

namespace libmseal::shim {

// Makes the page that the lock lives in. Before any ExclusiveSection.
void prepare_lock();

// Holds the lock and keeps signals away, so that no handler of this thread can want it too. A child forked
// while another thread held it finds it open: the page is wiped on fork.
class ExclusiveSection {
 public:
  ExclusiveSection();
  ~ExclusiveSection();
  ExclusiveSection(const ExclusiveSection&) = delete;
  ExclusiveSection& operator=(const ExclusiveSection&) = delete;

 private:
  std::uint64_t signals_ = 0;
};

// One thread at a time looks for late objects. Never waited for: whoever comes second leaves it to the first,
// for the dynamic linker's own locks are involved.
class LateObjectsTurn {
 public:
  LateObjectsTurn();
  ~LateObjectsTurn();
  LateObjectsTurn(const LateObjectsTurn&) = delete;
  LateObjectsTurn& operator=(const LateObjectsTurn&) = delete;
  [[nodiscard]] bool mine() const { return mine_; }

 private:
  bool mine_;
};

}  // namespace libmseal::shim
