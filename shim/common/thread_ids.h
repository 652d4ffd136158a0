// Whether a list of a process's threads is complete.
//
// Where a listed thread ends, the kernel's list ends, or goes on behind others (fs/proc/base.c, next_tid and
// first_tid). But its count of threads is consistent (/proc/PID/stat). So a list is complete if it is the
// same before and after a moment, and as long as the count at that moment.
#pragma once

#include <cstdint>

namespace libmseal::shim {

// What is kept of one list.
class ThreadIds {
 public:
  void add(long thread) {
    constexpr std::uint64_t kPrime = 0x100000001B3;  // of FNV-1a
    ++count_;
    hash_ = (hash_ ^ static_cast<std::uint64_t>(thread)) * kPrime;
  }

  // `later`: the list after a moment when there were so many threads.
  [[nodiscard]] bool are_all_of(std::uint64_t threads, const ThreadIds& later) const {
    return count_ == threads && later.count_ == threads && hash_ == later.hash_;
  }

 private:
  std::uint64_t count_ = 0;
  std::uint64_t hash_ = 0;
};

}  // namespace libmseal::shim
