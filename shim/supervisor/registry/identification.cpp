#include "shim/supervisor/registry/identification.h"

#include <cstddef>
#include <set>
#include <utility>

namespace libmseal::supervisor {

ReadResult<Identified> Identification::identify(pid_t task) const {
  using Result = ReadResult<Identified>;
  const auto failed = [](bool gone) { return gone ? Result::gone() : Result::unknown(); };
  const auto described = [](pid_t leader, const policy::StatLine& process, const policy::StatLine& memory) {
    Identified who;
    who.process = {leader, process.start_time};
    who.memory = MmIdentity::of(memory);
    who.forked = process.is_fork();
    who.ended = memory.has_ended();
    who.only_thread = process.threads == 1;
    return who;
  };
  // The first thread of a member: one read of an open file is enough.
  for (const Image* const image : images_.with_member(task)) {
    const auto* const found = image->find_by_id(task);
    if (found == nullptr) continue;
    const HeldTask* const held = found->second.task.get();
    if (held == nullptr) continue;
    const auto stat = held->stat();
    if (!stat.is_seen()) continue;
    Identified who = described(task, *stat, *stat);
    who.filtered = true;
    who.seen_by = held;
    return Result::seen(who);
  }
  const auto stat = proc_.stat(task);
  if (!stat.is_seen()) return failed(stat.is_gone());
  if (stat->is_kernel_thread()) return Result::gone();  // it belongs to no tree
  const auto status = proc_.status(task);
  if (!status.is_seen()) return failed(status.is_gone());
  const auto leader = static_cast<pid_t>(status->thread_group);
  // The creation time of the process, and whether it has called execve, are only in the leader's stat, even
  // after the leader has ended; the memory is that of the live task.
  const auto of_process = leader == task ? stat : proc_.stat(leader);
  if (!of_process.is_seen()) return Result::unknown();
  Identified who = described(leader, *of_process, *stat);
  who.filtered = status->filtered && proc_.may_be_in_tree(*status);
  who.filters = status->filters;
  return Result::seen(who);
}

// Uses another thread if the first one of a process does not show its memory, because it may not be
// inspected or has ended. Nothing if the process belongs to no sealed tree or has ended.
ReadResult<std::optional<Identified>> Identification::known_by_thread(pid_t process) const {
  using Result = ReadResult<std::optional<Identified>>;
  const auto threads = proc_.threads(process);
  if (threads.is_gone()) return Result::seen(std::nullopt);
  if (!threads.is_seen()) return Result::unknown();
  std::optional<Identified> alive;
  for (const pid_t thread : *threads) {
    const auto status = proc_.status(thread);
    if (status.is_gone()) continue;
    if (!status.is_seen()) return Result::unknown();
    if (!status->filtered || !proc_.may_be_in_tree(*status)) {
      if (status->peak >= 0) return Result::seen(std::nullopt);  // all live threads have the same filters
      continue;  // a first thread that ended before there were filters has none
    }
    const auto who = identify(thread);
    if (who.is_gone()) continue;
    if (!who.is_seen()) return Result::unknown();
    if (who->memory.readable()) return Result::seen(*who);
    if (!who->ended) alive = *who;
  }
  return alive ? Result::seen(alive) : not_seen_by_thread(process);
}

// For a process whose listed threads had all ended before they were read. Each may have created another
// one. The first thread stays until all have ended, and the kernel's thread count is consistent.
ReadResult<std::optional<Identified>> Identification::not_seen_by_thread(pid_t process) const {
  using Result = ReadResult<std::optional<Identified>>;
  const auto stat = proc_.stat(process);
  if (stat.is_gone()) return Result::seen(std::nullopt);
  if (!stat.is_seen()) return Result::unknown();
  if (stat->threads <= 1) return Result::seen(std::nullopt);
  Identified who;
  who.process = {process, stat->start_time};
  who.forked = stat->is_fork();
  who.filtered = true;
  return Result::seen(who);
}

// Adds the process if it may belong to a sealed tree. False if that is not known.
bool Identification::add_identified(pid_t process, std::vector<Identified>& alive) const {
  const auto who = identify(process);
  if (who.is_gone()) return true;
  if (!who.is_seen()) return false;
  if (who->memory.readable()) {
    alive.push_back(*who);
    alive.back().seen_by = nullptr;  // the member may be forgotten meanwhile
    return true;
  }
  const auto thread = known_by_thread(process);
  if (thread.is_seen() && *thread) {
    alive.push_back(**thread);
    alive.back().seen_by = nullptr;
  }
  return thread.is_seen();
}

// The tasks that are created while others are inspected.
class Identification::Newborns {
 public:
  Newborns(Proc& proc, const shim::ForkSample& since)
      : proc_(proc), most_(proc.pid_max()), since_(since.last), before_(since), sure_(since.last != 0) {}

  // To be called so often that IDs can't wrap around in between.
  void note_often() {
    constexpr std::size_t kOften = 4;
    if (++looks_ % kOften == 0) note();
  }
  void note() {
    const shim::ForkSample now = proc_.sample_forks();
    sure_ = sure_ && now.soon_after(before_, most_) && now.last >= before_.last;
    for (long task = before_.last + 1; sure_ && task <= now.last; ++task)
      tasks_.push_back(static_cast<pid_t>(task));
    before_ = now;
  }
  [[nodiscard]] bool sure() const { return sure_; }
  // Whether the task got its ID meanwhile, and is or was in take().
  [[nodiscard]] bool contains(pid_t task) const { return sure_ && task > since_ && task <= before_.last; }
  [[nodiscard]] std::vector<pid_t> take() { return std::exchange(tasks_, {}); }

 private:
  Proc& proc_;
  std::uint64_t most_;
  long since_;
  shim::ForkSample before_;
  bool sure_;
  std::size_t looks_ = 0;
  std::vector<pid_t> tasks_;
};

// Adds the listed processes that are not newborns, until a list has no new one: a process that had its ID but
// was not visible yet in one list may have lost its parent before the parent was inspected. False if the
// result may be incomplete.
bool Identification::add_listed(Newborns& newborns, std::vector<Identified>& alive) const {
  constexpr int kMostLists = 100;
  std::set<pid_t> known;
  bool more = true;
  for (int round = 0; round < kMostLists && more; ++round) {
    const auto processes = proc_.processes();
    if (!processes.is_seen()) return false;
    more = false;
    for (const pid_t process : *processes) {
      if (newborns.contains(process) || !known.insert(process).second) continue;
      more = true;
      if (!look(process, newborns, alive)) return false;
    }
    newborns.note();
  }
  return !more;
}

bool Identification::look(pid_t process, Newborns& newborns, std::vector<Identified>& alive) const {
  newborns.note_often();
  return newborns.sure() && add_identified(process, alive);
}

// Adds the processes that are created meanwhile, until there are none. False if the result may be incomplete,
// or if that does not end.
bool Identification::add_newborns(Newborns& newborns, std::vector<Identified>& alive) const {
  constexpr int kMostRounds = 1000;
  newborns.note();
  std::vector<pid_t> born = newborns.take();
  for (int round = 0; round < kMostRounds && !born.empty(); ++round, born = newborns.take()) {
    for (const pid_t task : born) {
      const auto who = identify(task);
      if (who.is_gone() || (who.is_seen() && who->process.id != task)) continue;  // ended, or a thread
      if (!look(task, newborns, alive)) return false;
    }
    newborns.note();
  }
  return born.empty() && newborns.sure();
}

// Repeated if IDs may have wrapped around, because this process did not run for a while.
ReadResult<std::vector<Identified>> Identification::everybody() const {
  using Result = ReadResult<std::vector<Identified>>;
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Newborns newborns(proc_, proc_.sample_forks());
    std::vector<Identified> alive;
    if (add_listed(newborns, alive) && add_newborns(newborns, alive)) return Result::seen(std::move(alive));
    if (newborns.sure()) break;  // there was another reason
  }
  return Result::unknown();
}

ReadResult<std::vector<Identified>> Identification::born_since(const shim::ForkSample& since) const {
  using Result = ReadResult<std::vector<Identified>>;
  Newborns newborns(proc_, since);
  std::vector<Identified> alive;
  return add_newborns(newborns, alive) ? Result::seen(std::move(alive)) : Result::unknown();
}

}  // namespace libmseal::supervisor
