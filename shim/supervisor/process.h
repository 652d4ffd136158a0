// What /proc says of a process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "policy/maps_line.h"

namespace libmseal::supervisor {

// The memory of a process, recognised by addresses that execve sets: equal in forked children, changed by
// prctl(PR_SET_MM) alone, which a door closes. After execve they are others, unless addresses are not
// randomised.
struct MmIdentity {
  std::uint64_t start_code = 0;
  std::uint64_t start_stack = 0;
  std::uint64_t start_brk = 0;
  std::uint64_t arg_start = 0;
  std::uint64_t env_start = 0;

  bool operator==(const MmIdentity&) const = default;
  // The kernel shows zeros of a process that may not be looked at, and of one that has no memory any more.
  [[nodiscard]] bool readable() const { return start_stack != 0; }
};

// All zero if there is no such process. `task` may be a thread.
MmIdentity identity_of(pid_t task);

// One process, told apart from a later one with the same number.
struct Process {
  pid_t id = 0;                  // 0: there is none
  std::uint64_t start_time = 0;  // in ticks since boot

  bool operator==(const Process&) const = default;
  bool operator<(const Process& other) const {
    return id != other.id ? id < other.id : start_time < other.start_time;
  }
};

// The process that the task is a thread of.
Process process_of(pid_t task);

// What a process runs.
struct Image {
  Process process;
  MmIdentity memory;
  bool forked = false;  // it has not called execve since it was forked
};
// Of the process that the task is a thread of.
Image image_of(pid_t task);

// Tells whether the memory that a process has now still exists later, whatever has become of the process.
class MemoryWatch {
 public:
  explicit MemoryWatch(pid_t process);
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  [[nodiscard]] bool gone() const;  // no, if it can't be told

 private:
  int maps_;
};

// Start times are coarse, and a number may be used again within one tick. The same value twice: the same
// process, still there. (A process may get another value, when the kernel runs short of memory.)
std::uint64_t incarnation_of(pid_t process);

struct TaskStatus {
  pid_t thread_group = 0;  // 0: no such task
  pid_t parent = 0;
  bool filtered = false;    // runs under seccomp filters
  bool has_memory = false;  // not so once it is ending
};
TaskStatus status_of(pid_t task);

std::vector<pid_t> all_processes();

// The births of processes and threads so far, as the numbers they get tell of them.
struct Births {
  pid_t last = 0;          // the number that was given last; 0: not known
  std::uint64_t time = 0;  // in ns
  // Numbers come around, but not in so short a time.
  [[nodiscard]] bool none_since(const Births& before) const {
    constexpr std::uint64_t kTooShort = 2'000'000;
    return last != 0 && last == before.last && time - before.time < kTooShort;
  }
};
Births births();

// The file that the process runs; its number if that can't be told.
std::string program_of(pid_t process);

// Whether two processes have one memory (vfork, clone). Yes, if that may not be known.
bool have_one_memory(pid_t one, pid_t other);

// Where a thread is, as /proc/TASK/syscall shows it.
enum class Whereabouts : std::uint8_t {
  gone,
  asleep,   // outside of every call that changes memory
  in_call,  // in one that does
  running,  // nobody knows where
};
Whereabouts whereabouts_of(pid_t task);

// Time on a processor, in ns; all there is if it is not known.
std::uint64_t running_time_of(pid_t task);

struct OwnedVma {
  policy::Vma vma;  // its name is empty
  std::string name;
};
// The mappings of a task; empty if they can't be read.
std::vector<OwnedVma> maps_of(pid_t task);

}  // namespace libmseal::supervisor
