// What the supervisor looks up about tasks. Every look may fail, which is an answer of its own: only what is
// known for sure decides in favour of a caller.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/parsers/maps_line.h"
#include "policy/parsers/stat_line.h"
#include "policy/parsers/syscall_line.h"
#include "policy/protocol/control.h"
#include "shim/common/births.h"
#include "shim/common/maps_reader.h"
#include "shim/common/proc_root.h"
#include "shim/common/sharers.h"

namespace libmseal::supervisor {

// What a look finds.
template <class T>
class Look {
 public:
  static Look seen(T value) { return Look(std::move(value), false); }
  static Look gone() { return Look(std::nullopt, true); }      // there is no such task any more
  static Look unknown() { return Look(std::nullopt, false); }  // it could not be found out

  [[nodiscard]] bool is_seen() const { return value_.has_value(); }
  [[nodiscard]] bool is_gone() const { return gone_; }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return &*value_; }

 private:
  Look(std::optional<T> value, bool gone) : value_(std::move(value)), gone_(gone) {}

  std::optional<T> value_;
  bool gone_;
};

// A task that is never mistaken for another that gets its number later.
class HeldTask {
 public:
  HeldTask() = default;
  virtual ~HeldTask() = default;
  HeldTask(const HeldTask&) = delete;
  HeldTask& operator=(const HeldTask&) = delete;

  [[nodiscard]] virtual Look<policy::StatLine> stat() const = 0;
};

// The memory that a task has now, whatever becomes of the task.
class HeldMemory {
 public:
  HeldMemory() = default;
  virtual ~HeldMemory() = default;
  HeldMemory(const HeldMemory&) = delete;
  HeldMemory& operator=(const HeldMemory&) = delete;

  [[nodiscard]] virtual bool gone() const = 0;  // no, if it can't be told
};

// /proc, through a procfs that is held from the start. Whatever is mounted over it later has no effect. Tests
// have one of their own.
class Proc {
 public:
  Proc() = default;
  virtual ~Proc() = default;
  Proc(const Proc&) = delete;
  Proc& operator=(const Proc&) = delete;

  // A descriptor of the file, or -errno.
  virtual long open(const shim::ProcPath& path, std::uint64_t flags) = 0;
  virtual Look<policy::StatLine> stat(pid_t task) = 0;
  virtual Look<shim::TaskStatus> status(pid_t task) = 0;
  // Null if it can't be held.
  virtual std::unique_ptr<HeldTask> hold(pid_t task) = 0;
  virtual std::unique_ptr<HeldMemory> hold_memory(pid_t task) = 0;
  virtual Look<std::vector<pid_t>> processes() = 0;
  virtual Look<std::vector<pid_t>> threads(pid_t process) = 0;
  // So far. A task that has its number already may be missing in the count.
  virtual shim::Births births() = 0;
  // The same, with a fresh count, unless the numbers show that there were none since.
  virtual shim::Births births_since(const shim::Births& before) = 0;
  // After how many births numbers come around.
  virtual std::uint64_t most_numbers() = 0;
  // The processes that share the memory of the process, of which `task` is a thread. Nobody did at `since`;
  // `now` are the births so far.
  virtual shim::Sharing sharers(pid_t process, pid_t task, const shim::Births& since, const shim::Births& now,
                                std::vector<pid_t>& found) = 0;
  // Whether the two tasks have one memory. No, if one has none any more, or it can't be told.
  virtual bool share_mm(pid_t one, pid_t other) = 0;
  // Whether few descriptors are left: a look at everybody needs some.
  virtual bool is_short_of_files() { return false; }
  // Where the thread is in the kernel.
  virtual Look<policy::Whereabouts> whereabouts(pid_t task) = 0;
  // Since boot, in ns, as start times are.
  virtual std::uint64_t now() = 0;
};

// A task of the process that shows its memory: the first thread, or another one if that has ended.
pid_t task_with_memory(Proc& proc, pid_t process);

// The kernel's. Null, with the reason, if it can't serve for the process: no procfs, one of another pid
// namespace, or a process that may not be looked at.
std::unique_ptr<Proc> open_proc(pid_t process, policy::Trouble& trouble);

// Calls visit(vma) for the mappings of the task, as read_maps().
template <class Visit>
long visit_maps(Proc& proc, pid_t task, const Visit& visit) {
  return shim::read_maps(proc.open(shim::ProcPath(task, "maps"), O_RDONLY), visit);
}

// The path of the file that the process runs; empty if that can't be told.
std::string path_of_program(Proc& proc, pid_t process);

// ---- what is looked up for a person to read, where a failure only leaves something out ----

// The same; the number of the process if that can't be told.
std::string program_of(Proc& proc, pid_t process);

// The parent that the process has now; 0 if that can't be told.
pid_t parent_of(Proc& proc, pid_t process);

}  // namespace libmseal::supervisor
