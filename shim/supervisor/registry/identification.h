// Finds out which process a task belongs to, and which memory it has.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/caller.h"
#include "shim/supervisor/registry/images.h"

namespace libmseal::supervisor {

// What is known about a task and its process.
struct Identified {
  Process process;
  MmIdentity memory;
  bool forked = false;                // it has not called execve since it was forked
  bool filtered = false;              // runs under seccomp filters
  std::uint32_t filters = ~0U;        // how many; ~0: not known
  bool ended = false;                 // the task has no memory any more
  bool only_thread = false;           // of its process
  const HeldTask* seen_by = nullptr;  // the member's task that was read, if any

  // Whether the process belongs, or may belong, to the image: it has not called execve since, unless that
  // created the image.
  [[nodiscard]] bool may_be_of(const Image& image) const {
    if (memory.readable()) return memory == image.identity && has_not_left(image);
    return filtered && !ended && has_not_left(image);
  }
  // The same for a process that belonged to the image when it was first seen. Works for any process, readable
  // or not.
  [[nodiscard]] bool has_not_left(const Image& image) const {
    if (forked) return true;
    const auto is_there = [](const std::unique_ptr<HeldMemory>& held) {
      return held == nullptr || !held->gone();
    };
    if (process == image.creator && is_there(image.memory)) return true;
    const Member* const member = image.find(process);
    return member != nullptr && member->executed_it && is_there(member->memory);
  }
};

class Identification {
 public:
  Identification(Proc& proc, const Images& images) : proc_(proc), images_(images) {}

  [[nodiscard]] ReadResult<Identified> identify(pid_t task) const;
  // All processes that may belong to a sealed tree, if the list is complete.
  [[nodiscard]] ReadResult<std::vector<Identified>> everybody() const;
  // The same for processes created after `since` and until the end of this call.
  [[nodiscard]] ReadResult<std::vector<Identified>> born_since(const shim::ForkSample& since) const;

 private:
  class Newborns;
  [[nodiscard]] bool add_listed(Newborns& newborns, std::vector<Identified>& alive) const;
  [[nodiscard]] bool add_newborns(Newborns& newborns, std::vector<Identified>& alive) const;
  [[nodiscard]] bool look(pid_t process, Newborns& newborns, std::vector<Identified>& alive) const;
  [[nodiscard]] ReadResult<std::optional<Identified>> known_by_thread(pid_t process) const;
  [[nodiscard]] ReadResult<std::optional<Identified>> not_seen_by_thread(pid_t process) const;
  [[nodiscard]] bool add_identified(pid_t process, std::vector<Identified>& alive) const;

  Proc& proc_;
  const Images& images_;
};

}  // namespace libmseal::supervisor
