// Reads information about tasks. Every read may fail, and a failure never counts in favour of a caller.
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
#include "shim/common/fork_sample.h"
#include "shim/common/maps_reader.h"
#include "shim/common/no_copy.h"
#include "shim/common/proc_root.h"
#include "shim/common/sharers.h"
#include "shim/supervisor/processes/other_memory.h"

namespace libmseal::supervisor {

// The result of a read.
template <class T>
class ReadResult {
 public:
  static ReadResult seen(T value) { return ReadResult(std::move(value), false); }
  static ReadResult gone() { return ReadResult(std::nullopt, true); }      // the task has ended
  static ReadResult unknown() { return ReadResult(std::nullopt, false); }  // the read failed

  [[nodiscard]] bool is_seen() const { return value_.has_value(); }
  [[nodiscard]] bool is_gone() const { return gone_; }
  // Whether this was seen.
  [[nodiscard]] bool is(const T& value) const { return value_ == value; }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return &*value_; }

 private:
  ReadResult(std::optional<T> value, bool gone) : value_(std::move(value)), gone_(gone) {}

  std::optional<T> value_;
  bool gone_;
};

// A reference to a task that never refers to another task with the same ID.
class HeldTask : shim::NoCopy {
 public:
  virtual ~HeldTask() = default;

  [[nodiscard]] virtual ReadResult<policy::StatLine> stat() const = 0;
};

// A reference to the memory that a task has now.
class HeldMemory : shim::NoCopy {
 public:
  virtual ~HeldMemory() = default;

  [[nodiscard]] virtual bool gone() const = 0;  // false if not known
};

// /proc, through a directory that is open from the start, so that later mounts over it have no effect. Tests
// have their own implementation.
class Proc : shim::NoCopy {
 public:
  virtual ~Proc() = default;

  // A descriptor of the file, or -errno.
  virtual long open(const shim::ProcPath& path) = 0;
  // A path descriptor (O_PATH) of what the task has open under that number, or -errno; ENOENT: nothing.
  virtual long open_descriptor(pid_t task, int number) = 0;
  // The path of the file that the process runs; empty if not known.
  virtual std::string path_of_program(pid_t process) = 0;
  virtual ReadResult<policy::StatLine> stat(pid_t task) = 0;
  virtual ReadResult<shim::TaskStatus> status(pid_t task) = 0;
  // Null if it can't be held.
  virtual std::unique_ptr<HeldTask> hold(pid_t task) = 0;
  virtual std::unique_ptr<HeldMemory> hold_memory(pid_t task) = 0;
  virtual ReadResult<std::vector<pid_t>> processes() = 0;
  // All of them at one moment.
  virtual ReadResult<std::vector<pid_t>> threads(pid_t process) = 0;
  // The ID that was given last; 0: not known.
  virtual pid_t newest_id() = 0;
  // The forks so far. A task that is not visible yet may be missing in the count.
  virtual shim::ForkSample sample_forks() = 0;
  // The same, but the count is read only if the IDs do not show that there were no forks.
  virtual shim::ForkSample sample_forks_since(const shim::ForkSample& before) = 0;
  // The number of forks after which IDs wrap around.
  virtual std::uint64_t pid_max() = 0;
  // The processes that share the memory of the process, of which `task` is a thread. There were none at
  // `since`; `now` are the forks so far. `first`: of the tree.
  virtual shim::Sharing sharers(pid_t process, pid_t task, const shim::ForkSample& since,
                                const shim::ForkSample& now, const FirstProcess& first,
                                std::vector<pid_t>& found) = 0;
  // Whether the two tasks share memory. False if one has none any more, or if not known.
  virtual bool share_mm(pid_t one, pid_t other) = 0;
  // Whether few descriptors are left, which a collection needs.
  virtual bool is_short_of_files() { return false; }
  // Whether a process with this status may belong to a sealed tree, as far as its user shows.
  virtual bool may_be_in_tree(const shim::TaskStatus& /*status*/) { return true; }
  // Which kind of call the thread is in.
  virtual ReadResult<policy::Whereabouts> whereabouts(pid_t task) = 0;
  // The time since boot in ns, comparable to start times.
  virtual std::uint64_t now() = 0;
};

// A task of the process whose memory can be read: the first thread, or another one if that has ended.
pid_t task_with_memory(Proc& proc, pid_t process);

// Whether the task has ended. It may still be visible: a first thread until all others have ended.
bool has_ended(Proc& proc, pid_t task);

// The real /proc. Null, with the reason, if there is none, if it belongs to another pid namespace, or if the
// process may not be inspected.
std::unique_ptr<Proc> open_proc(pid_t process, policy::Trouble& trouble);

// read_maps() for the task.
template <class Visit>
long visit_maps(Proc& proc, pid_t task, const Visit& visit) {
  return shim::read_maps(proc.open(shim::ProcPath(task, "maps")), visit);
}

// ---- only for messages and events ----

// The path of the file that the process runs; the PID if not known.
std::string program_of(Proc& proc, pid_t process);

// The current parent of the process; 0 if not known.
pid_t parent_of(Proc& proc, pid_t process);

}  // namespace libmseal::supervisor
