// The text of /proc/PID/stat (proc(5)).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace libmseal::policy {

// Flags of the kernel (include/linux/sched.h): PF_FORKNOEXEC, PF_KTHREAD.
inline constexpr std::uint64_t kForkedNoExec = 0x40;
inline constexpr std::uint64_t kKernelThread = 0x200000;

// The fields that we use, with their numbers in proc(5). Those of the memory are zero for a task without
// memory, and, except the size, for one that the reader may not inspect.
struct StatLine {
  char state = '?';               // 3
  std::uint64_t parent = 0;       // 4, as an ID of the reader's pid namespace; 0: outside of it
  std::uint64_t flags = 0;        // 9
  std::uint64_t user_time = 0;    // 14, in user mode, in ticks
  std::uint64_t threads = 0;      // 20, of its process, including zombies
  std::uint64_t start_time = 0;   // 22, in ticks since boot
  std::uint64_t size = 0;         // 23, of the memory, visible to everybody; 0: the task has no memory
  std::uint64_t start_code = 0;   // 26
  std::uint64_t start_stack = 0;  // 28
  std::uint64_t start_brk = 0;    // 47
  std::uint64_t arg_start = 0;    // 48
  std::uint64_t env_start = 0;    // 50

  // Whether the reader may not inspect the memory.
  [[nodiscard]] bool is_hidden() const { return size != 0 && start_stack == 0; }
  // It has not called execve since it was forked.
  [[nodiscard]] bool is_fork() const { return (flags & kForkedNoExec) != 0; }
  [[nodiscard]] bool is_kernel_thread() const { return (flags & kKernelThread) != 0; }
  [[nodiscard]] bool has_ended() const { return state == 'Z' || state == 'X'; }
};

// Nothing if the text is malformed or ends before the last of these fields.
std::optional<StatLine> parse_stat_line(std::string_view text);

}  // namespace libmseal::policy
