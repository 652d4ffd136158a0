#include "shim/preload/process/own_sharers.h"

#include <cerrno>

#include "shim/preload/process/pid_namespace.h"
#include "shim/preload/process/vm_peak.h"

namespace libmseal::shim {
namespace {

constexpr std::uint64_t kKibibyte = 1024;

// Whether a task has another memory, by its VmPeak: one that is lower than what this memory had mapped
// before. If it is higher, this raises its own.
class HasOtherPeak {
 public:
  explicit HasOtherPeak(const ProcRoot& proc) : proc_(proc) {}

  bool operator()(long task, TaskStatus status) {
    long margin = 64;  // KiB, which the other may grow by meanwhile
    for (int looks = 0; looks < 4; ++looks, margin *= 16) {
      if (status.peak < least_) return true;
      const long raised = status.peak + margin;
      if (!raise_vm_peak(static_cast<std::uint64_t>(raised) * kKibibyte)) return false;
      least_ = raised;
      status = {};
      const long read = read_status(proc_, task, status);
      if (read == -ENOENT || read == -ESRCH) return true;
      if (read != 0) return false;
    }
    return false;
  }

 private:
  const ProcRoot& proc_;
  long least_ = 0;  // KiB: nobody reads less for this memory
};

SharerSearch<HasOtherPeak> own_search(const ProcRoot& proc) {
  return {proc, raw_syscall(__NR_getpid), raw_syscall(__NR_gettid), -1, HasOtherPeak(proc)};
}

Sharing run(SharerSearch<HasOtherPeak>& search, const ProcRoot& proc, const ForkSample& since,
            const ForkSample& now) {
  const auto sample = [&] { return sample_forks(proc); };
  const auto at_first = [](long) { return false; };
  return search.run(since, now, pid_max(proc), sample, at_first);
}

}  // namespace

Sharing search_own_sharers(const ProcRoot& proc, const ForkSample& since, const ForkSample& now) {
  auto search = own_search(proc);
  return run(search, proc, since, now);
}

Sharing search_older_sharers(const ProcRoot& proc, std::uint64_t start_time) {
  auto search = own_search(proc);
  search.leave_out_younger_than(start_time);
  return run(search, proc, {}, sample_forks(proc));
}

long look_for_sharers(const State& state) {
  const ProcRoot proc;
  const PidNamespace present = present_pid_namespace(proc);
  if (present.is == NamespaceIs::unreadable) return -EAGAIN;
  if (explain(present) != 0) return -EXDEV;
  const long process = raw_syscall(__NR_getpid);
  const ForkSample since = process == state.alone_process ? state.alone_since : ForkSample{};
  return search_own_sharers(proc, since, sample_forks(proc)) == Sharing::alone ? 0 : -EAGAIN;
}

}  // namespace libmseal::shim
