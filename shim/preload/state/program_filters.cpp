#include "shim/preload/state/program_filters.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "policy/bpf/evaluator.h"
#include "shim/common/killed_calls.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/seccomp_flags.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/messages/standard_error.h"
#include "shim/preload/state/filter_mark.h"
#include "shim/preload/state/lock.h"

namespace libmseal::shim {
namespace {

using policy::Arguments;

constinit std::atomic<std::uint16_t> g_killed = 0;  // Purpose bits
constinit std::atomic<std::uint16_t> g_marked = 0;  // of the marks that all threads have

void note_killed(std::uint16_t killed) {
  if (killed == 0) return;
  g_killed.fetch_or(killed);
  g_killed_calls.kcmp = g_killed_calls.kcmp || program_filters_kill(Purpose::searching);
  restrict_messages(program_filters_kill(Purpose::writing), program_filters_kill(Purpose::reading));
  if (program_filters_kill(Purpose::optional) || program_filters_kill(Purpose::reading))
    trust_standard_error();
}

// Of several marks the last one answers. It includes the calls whose callers filters of other threads kill:
// if it is not certain which filters apply, the next program makes fewer calls.
std::uint16_t purposes_of_mark(std::uint16_t killed) {
  return g_killed | killed;
}

void leave_mark(std::uint16_t killed, unsigned long flags_of_program) {
  const std::uint16_t purposes = purposes_of_mark(killed);
  const bool in_all_threads = (flags_of_program & SECCOMP_FILTER_FLAG_TSYNC) != 0;
  if (install_mark(purposes, flags_of_program) == 0 && in_all_threads) g_marked = purposes;
}

// What the program passes as a filter, before the kernel has read it.
enum class FilterArgument : std::uint8_t {
  nothing,  // the kernel refuses it
  unknown,  // it can't be read
  program,
};

// Whether the kernel can read the memory, of 8 bytes or more. The program may give a bad pointer to find out
// whether the kernel has filters.
FilterArgument look_at(const void* start, std::size_t size) {
  constexpr std::uintptr_t kStep = 4096;
  const auto first = reinterpret_cast<std::uintptr_t>(start);
  const std::uintptr_t last = first + size - sizeof(std::uint64_t);
  // The kernel reads the mask before it refuses -1 (kernel/signal.c, rt_sigprocmask).
  const auto look = [](std::uintptr_t at) {
    const long answer = raw_syscall(__NR_rt_sigprocmask, -1, at, nullptr, sizeof(std::uint64_t));
    return answer == -EINVAL   ? FilterArgument::program
           : answer == -EFAULT ? FilterArgument::nothing
                               : FilterArgument::unknown;
  };
  for (std::uintptr_t at = first; at < last; at = (at / kStep + 1) * kStep) {
    if (const FilterArgument given = look(at); given != FilterArgument::program) return given;
  }
  return look(last);
}

FilterArgument look_at(const sock_fprog* filter) {
  if (filter == nullptr) return FilterArgument::nothing;
  if (program_filters_kill(Purpose::locking)) return FilterArgument::unknown;
  if (const FilterArgument given = look_at(filter, sizeof *filter); given != FilterArgument::program)
    return given;
  if (filter->len == 0) return FilterArgument::nothing;
  const FilterArgument given = look_at(filter->filter, filter->len * sizeof(sock_filter));
  if (given != FilterArgument::program) return given;
  return policy::is_program({filter->filter, filter->len}) ? given : FilterArgument::nothing;
}

// When a filter's mark is to be installed.
enum class Marking : std::uint8_t { never, before, after };

struct NewFilter {
  std::uint16_t killed;  // Purpose bits
  Marking marking;
};

NewFilter inspect(std::span<const sock_filter> program, unsigned long flags) {
  const std::uint16_t killed = purposes_killed_by(program);
  if (killed == 0 || purposes_of_mark(killed) == g_marked || program_filters_kill(Purpose::filtering))
    return {killed, Marking::never};
  const std::uint32_t later =
      verdict_of(program, __NR_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW});
  if (later == SECCOMP_RET_ALLOW || later == SECCOMP_RET_LOG) return {killed, Marking::after};
  // Afterwards the filter may refuse it, or ask somebody who waits for this call to return. Not if the kernel
  // refuses these flags: it checks them before it reads the filter.
  const bool takes_flags = raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, kNowhere) == -EFAULT;
  return {killed, takes_flags ? Marking::before : Marking::never};
}

bool sets_mode(long number, const Arguments& arguments, std::uint32_t by_prctl, std::uint32_t by_seccomp) {
  if (number == __NR_prctl)
    return static_cast<int>(arguments[0]) == PR_SET_SECCOMP && arguments[1] == by_prctl;
  return number == __NR_seccomp && static_cast<std::uint32_t>(arguments[0]) == by_seccomp;
}

}  // namespace

bool program_filters_kill(Purpose purpose) {
  return (g_killed.load(std::memory_order_relaxed) & static_cast<std::uint16_t>(purpose)) != 0;
}

bool program_filters_bar_sealing(const State& state) {
  using policy::Backend;
  if (program_filters_kill(Purpose::locking)) return true;
  const bool filtering = program_filters_kill(Purpose::filtering);
  switch (state.backend) {
    case Backend::kernel:
      return program_filters_kill(Purpose::message);
    case Backend::supervised:
      return program_filters_bar_messages() || (filtering && !state.tree_options.covers_all);
    case Backend::filters:
      return filtering || program_filters_bar_self_inspection();
    case Backend::libc:
      return program_filters_kill(Purpose::reading);
    case Backend::automatic:
      break;
  }
  return program_filters_kill(Purpose::message) || filtering || program_filters_kill(Purpose::launching) ||
         program_filters_bar_start() || program_filters_bar_self_inspection();
}

void look_for_program_filters() {
  g_marked = read_mark();
  note_killed(g_marked);
}

long call_that_may_filter(long number, const Arguments& a) {
  const auto call = [&] { return raw_syscall(number, a); };
  const bool is_strict = sets_mode(number, a, SECCOMP_MODE_STRICT, SECCOMP_SET_MODE_STRICT);
  if (!is_strict && !sets_mode(number, a, SECCOMP_MODE_FILTER, SECCOMP_SET_MODE_FILTER)) return call();
  // A child that shares this memory (vfork) is not this process.
  const bool is_own =
      program_filters_kill(Purpose::reading) || is_process_of_memory(raw_syscall(__NR_getpid));
  if (!is_own) return call();
  const auto* const filter = reinterpret_cast<const sock_fprog*>(a[2]);
  const FilterArgument given = is_strict ? FilterArgument::unknown : look_at(filter);
  if (given == FilterArgument::nothing) return call();
  const unsigned long flags = number == __NR_seccomp ? a[1] : 0;
  const NewFilter fresh = given == FilterArgument::program ? inspect({filter->filter, filter->len}, flags)
                                                           : NewFilter{kAllPurposes, Marking::never};
  if (fresh.marking == Marking::before) leave_mark(fresh.killed, flags);
  const long result = call();
  // A positive result is the ID of a thread that prevents the installation, unless a listener was asked for.
  const bool installed = result == 0 || (result > 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0);
  if (!installed) return result;
  note_killed(fresh.killed);
  if (fresh.marking == Marking::after) leave_mark(fresh.killed, flags);
  return result;
}

}  // namespace libmseal::shim
