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

}  // namespace libmseal::shim
