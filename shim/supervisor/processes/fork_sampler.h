// Reads how many tasks were created so far (fork_sample.h).
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "shim/common/clock.h"
#include "shim/common/fork_sample.h"
#include "shim/common/proc_root.h"
#include "shim/supervisor/processes/descriptor.h"

namespace libmseal::supervisor {

// Keeps two files open, because forks are counted several times per seal.
class ForkSampler {
  class File : Descriptor {
   public:
    using Descriptor::Descriptor;
    std::string_view text() {
      const ssize_t got = pread(number(), buffer_.data(), buffer_.size(), 0);
      return {buffer_.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    }

   private:
    std::array<char, 65536> buffer_;  // /proc/stat grows with the processors and interrupts
  };

 public:
  explicit ForkSampler(const shim::ProcRoot& root)
      : numbers_(root.open(shim::ProcPath("loadavg"))), count_(root.open(shim::ProcPath("stat"))) {}

  pid_t newest_id() { return static_cast<pid_t>(shim::parse_last_pid(numbers_.text())); }
  shim::ForkSample so_far() { return since(before_); }

  // Reading the count takes longer, and is not needed if no ID was given since.
  shim::ForkSample since(const shim::ForkSample& before) {
    shim::ForkSample now;
    now.time = shim::monotonic_ns();
    now.last = shim::parse_last_pid(numbers_.text());
    now.until = shim::monotonic_ns();
    const bool same = now.last != 0 && now.last == before.last && now.soon_after(before);
    now.count = same ? before.count : shim::parse_fork_count(count_.text());
    before_ = now;
    return now;
  }

 private:
  File numbers_;
  File count_;
  shim::ForkSample before_;
};

}  // namespace libmseal::supervisor
