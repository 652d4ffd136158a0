// Finds the other processes ("sharers") that share the memory of a process (vfork, clone with CLONE_VM). A
// filter that is installed in one of them does not apply to the others.
//
// The list of a task's children is not enough: a child made with CLONE_PARENT is not in it, nor are the
// children of a child that has ended. So it looks at every task that may have been created since a moment
// when the memory was known not to be shared.
#pragma once

#include <cerrno>
#include <optional>

#include "shim/common/fork_sample.h"
#include "shim/common/proc_root.h"
#include "shim/common/thread_ids.h"

namespace libmseal::shim {

enum class Sharing : std::uint8_t {
  alone,
  shared,
  unknown,  // a task that can't be inspected may share it
};

// has_other_memory(task, its status): whether a task that kcmp may not compare certainly has another memory.
template <class HasOtherMemory>
class SharerSearch {
 public:
  // For the process `group`, of which `task` is a thread that does not end during the search. `only_user`:
  // the user that all processes which may share the memory have; -1: not known.
  SharerSearch(const ProcRoot& proc, long group, long task, long only_user, HasOtherMemory has_other_memory)
      : proc_(proc), group_(group), task_(task), only_user_(only_user), has_other_memory_(has_other_memory) {}

  // Leaves out tasks that were created after this time, in clock ticks as in /proc.
  void leave_out_younger_than(std::uint64_t start_time) { latest_ = start_time; }

  // Calls found(process) for each sharer; it returns false to stop. `since`: a moment without sharers. `now`:
  // the forks so far; sample_forks() returns them anew. `most`: the forks after which IDs wrap around.
  //
  // A process gets its ID some time before it becomes visible. So a result of sample_forks() may serve as
  // `since` of a later search only if every thread was seen outside of clone after it and before this search.
  //
  // A sharer may create another one and end before it is checked. So tasks that are created during the search
  // are checked as well, until there are none. IDs are checked in ascending order: a sharer's children have
  // higher IDs, so their turn comes later.
  template <class SampleForks, class Found>
  Sharing run(const ForkSample& since, const ForkSample& now, std::uint64_t most, SampleForks sample_forks,
              Found found) {
    if (now.none_since(since)) return Sharing::alone;
    auto sharing = search(since, now, most, sample_forks, found);
    for (int again = 0; !sharing && again < kMostRepetitions; ++again)
      sharing = search(since, sample_forks(), most, sample_forks, found);
    return sharing.value_or(Sharing::unknown);
  }

 private:
  static constexpr int kMostRepetitions = 1;              // of a search that was interrupted for too long
  static constexpr int kLooks = 3;                        // at values that may change
  static constexpr int kMostRounds = 100;                 // with new forks
  static constexpr std::uint64_t kNoteAfter = 2'000'000;  // ns

  // Nothing if IDs may have wrapped around during the search, because this thread did not run for a while.
  template <class SampleForks, class Found>
  std::optional<Sharing> search(const ForkSample& since, const ForkSample& now, std::uint64_t most,
                                SampleForks sample_forks, Found found) {
    Sharing sharing = Sharing::alone;
    bool stopped = false;
    ForkSample seen = now;
    bool sure = now.last != 0;
    const auto note = [&] {  // often enough that IDs can't wrap around in between
      const ForkSample later = sample_forks();
      sure = sure && later.soon_after(seen, most) && later.last >= seen.last;
      seen = later;
    };
    const auto look = [&](long task) {
      if (sure && monotonic_ns() - seen.time > kNoteAfter) note();
      const Sharing one = look_at(task);
      if (one == Sharing::shared || sharing == Sharing::alone) sharing = one;
      stopped = one == Sharing::shared && !found(task);
      return !stopped;
    };
    const auto unless_found = [&](Sharing other) { return sharing == Sharing::shared ? sharing : other; };
    long looked_until = now.last;
    if (now.few_since(since, most)) {
      look_at_numbers(since.last, looked_until, look);
    } else if (look_at_all(look) < 0) {
      return unless_found(Sharing::unknown);
    }
    if (now.last == 0) return hides_forks() ? sharing : unless_found(Sharing::unknown);
    for (int round = 0; !stopped; ++round) {
      note();
      if (!sure && sharing != Sharing::shared) return std::nullopt;
      if (!sure || round == kMostRounds) return unless_found(Sharing::unknown);
      const long last = seen.last;
      if (last == looked_until) break;
      look_at_numbers(looked_until, last, look);
      looked_until = last;
    }
    return sharing;
  }

  // A procfs mounted with subset=pid, as by ProcSubset= of systemd, does not show them.
  bool hides_forks() const {
    char byte[1];
    return proc_.read(ProcPath("loadavg"), byte) == -ENOENT;
  }

  template <class Look>
  static void look_at_numbers(long after, long last, Look look) {
    for (long task = after + 1; task <= last; ++task) {
      if (!look(task)) break;
    }
  }

  Sharing look_at(long task) {
    if (task == group_ || task == task_ || is_left_out(task)) return Sharing::alone;
    const long compared = compare_memory(task_, task);
    if (compared > 0) return Sharing::alone;
    TaskStatus status;
    const long read = read_status(proc_, task, status);
    if (compared == 0) {
      if (read == 0 && status.thread_group == group_) return Sharing::alone;
      return read == -ENOENT || read == -ESRCH ? Sharing::alone : Sharing::shared;
    }
    // Not allowed, or ESRCH, which another filter may have answered.
    if (read == 0) return judge_by_evidence(task, status);
    // /proc may hide a task (hidepid=); kill shows whether it exists.
    return raw_syscall(__NR_kill, task, 0) == -ESRCH ? Sharing::alone : Sharing::unknown;
  }

  bool is_left_out(long task) const {
    if (!latest_) return false;
    policy::StatLine stat;
    return read_stat(proc_, task, stat) == 0 && stat.start_time > *latest_;
  }

  // kcmp is not allowed. A sharer may have another user, and need not have filters.
  Sharing judge_by_evidence(long task, const TaskStatus& status) {
    if (status.thread_group == group_ || status.peak < 0) return Sharing::alone;  // peak < 0: no memory
    if (only_user_ >= 0 && status.user >= 0 && status.user != only_user_) return Sharing::alone;
    return has_other_memory_(task, status) ? Sharing::alone : Sharing::unknown;
  }

  template <class Look>
  long look_at_all(Look look) {
    return proc_.list(ProcPath("."), [&](const char* name) -> long {
      if (name[0] < '1' || name[0] > '9') return 0;
      const long process = leading_number(name);
      if (!look(process)) return 1;
      return look_at_threads(process, look);
    });
  }

  // The listed threads of a process, and whether all are zombies (a traced thread stays one until its tracer
  // reaps it).
  struct Zombies {
    bool all = true;
    ThreadIds ids;

    void add(long thread, bool is_zombie) {
      all = all && is_zombie;
      ids.add(thread);
    }
    // Whether the process had no other thread between two lists. Zombies create none.
    [[nodiscard]] bool are_all_of(std::uint64_t threads, const Zombies& later) const {
      return all && later.all && ids.are_all_of(threads, later.ids);
    }
  };

  // A leader without memory has ended or is about to, but its threads may live on. One thread with memory is
  // enough to compare. A listed thread may have created another one and ended, so the list must be complete.
  template <class Look>
  long look_at_threads(long process, Look look) {
    if (process == group_) return 0;
    Zombies before;
    for (int looks = 0; looks < kLooks; ++looks) {
      policy::StatLine leader;
      const long read = read_stat(proc_, process, leader);
      if (read == -ENOENT || read == -ESRCH) return 0;
      if (read != 0) return read;
      if (leader.size != 0 || leader.threads <= 1) return 0;
      Zombies zombies;
      const long listed = proc_.list(ProcPath(process, "task"), [&](const char* name) -> long {
        const long thread = leading_number(name);
        if (!look(thread)) return 1;
        policy::StatLine stat;
        const bool seen = read_stat(proc_, thread, stat) == 0;
        zombies.add(thread, seen && stat.state == 'Z');
        return seen && stat.size != 0 ? kTold : 0;  // it has memory, so it had some when it was compared
      });
      if (listed == kTold || listed == -ENOENT || listed == -ESRCH) return 0;
      if (listed != 0) return listed;
      if (before.are_all_of(leader.threads, zombies)) return 0;
      before = zombies;
    }
    return -EAGAIN;
  }
  static constexpr long kTold = 2;

  const ProcRoot& proc_;
  long group_;
  long task_;
  long only_user_;
  HasOtherMemory has_other_memory_;
  std::optional<std::uint64_t> latest_;
};

}  // namespace libmseal::shim
