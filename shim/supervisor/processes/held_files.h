// Files of /proc that stay open to refer to one task, or to the memory of one.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "policy/parsers/stat_line.h"
#include "shim/common/raw_syscall.h"
#include "shim/supervisor/processes/descriptor.h"
#include "shim/supervisor/processes/descriptor_reserve.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/processes/task_files.h"

namespace libmseal::supervisor {

// An open stat file refers to one task: once that has ended, reading fails with ESRCH.
class HeldStat final : public HeldTask, Descriptor {
 public:
  HeldStat(long file, TaskFiles& files, pid_t task) : Descriptor(file), files_(files), task_(task) {}

  [[nodiscard]] ReadResult<policy::StatLine> stat() const override {
    return files_.inspect(task_, [&] { return read(); });
  }

 private:
  [[nodiscard]] ReadResult<policy::StatLine> read() const {
    std::array<char, 2048> buffer{};
    const ssize_t got = pread(number(), buffer.data(), buffer.size(), 0);
    if (got < 0) return read_result(-errno, policy::StatLine());
    const auto line = policy::parse_stat_line({buffer.data(), static_cast<std::size_t>(got)});
    return line ? ReadResult<policy::StatLine>::seen(*line) : ReadResult<policy::StatLine>::unknown();
  }

  TaskFiles& files_;
  pid_t task_;
};

// An open maps file refers to the memory: once that is gone, it is empty. Once the task by which it was
// opened has ended, reading fails with ESRCH, and it is not known whether others still share the memory.
class HeldMaps final : public HeldMemory, Descriptor {
 public:
  using Descriptor::Descriptor;

  [[nodiscard]] bool gone() const override {
    char byte = 0;
    const ssize_t got = pread(number(), &byte, 1, 0);
    return got == 0;
  }
};

// Wraps the open file; null if there is none, or if it has to be closed again.
template <class T, class... More>
std::unique_ptr<T> held(long file, More&&... more) {
  if (shim::failed(file)) return nullptr;
  if (is_one_of_last(file, kKeptByHolding)) {
    close(static_cast<int>(file));
    return nullptr;
  }
  std::unique_ptr<T> one(new (std::nothrow) T(file, std::forward<More>(more)...));
  if (one == nullptr) close(static_cast<int>(file));
  return one;
}

}  // namespace libmseal::supervisor
