#include "shim/supervisor/identification.h"

namespace libmseal::supervisor {

Look<Identified> Identification::identify(pid_t task) const {
  using Result = Look<Identified>;
  const auto failed = [](bool gone) { return gone ? Result::gone() : Result::unknown(); };
  const auto described = [](pid_t leader, const policy::StatLine& process, const policy::StatLine& memory) {
    Identified who;
    who.process = {leader, process.start_time};
    who.memory = MmIdentity::of(memory);
    who.forked = (process.flags & policy::kForkedNoExec) != 0;
    who.ended = memory.state == 'Z' || memory.state == 'X';
    return who;
  };
  // A member's first thread: one look at what is held.
  for (const Image& image : images_) {
    const auto found = image.members.lower_bound({task, 0});
    if (found == image.members.end() || found->first.id != task) continue;
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
  const auto status = proc_.status(task);
  if (!status.is_seen()) return failed(status.is_gone());
  const auto leader = static_cast<pid_t>(status->thread_group);
  // When the process was born, and whether it has called execve, only its leader tells, even when it has
  // ended; the memory is that of the task, which lives.
  const auto of_process = leader == task ? stat : proc_.stat(leader);
  if (!of_process.is_seen()) return Result::unknown();
  Identified who = described(leader, *of_process, *stat);
  who.filtered = status->filtered;
  who.filters = status->filters;
  return Result::seen(who);
}

// What a thread shows of a process whose first one does not show its memory: that may not be looked at, or
// has ended, or is the kernel's own. Nothing if the process is of no sealed tree or has ended.
Look<std::optional<Identified>> Identification::known_by_thread(pid_t process) const {
  using Result = Look<std::optional<Identified>>;
  const auto threads = proc_.threads(process);
  if (threads.is_gone()) return Result::seen(std::nullopt);
  if (!threads.is_seen()) return Result::unknown();
  std::optional<Identified> alive;
  for (const pid_t thread : *threads) {
    const auto status = proc_.status(thread);
    if (status.is_gone()) continue;
    if (!status.is_seen()) return Result::unknown();
    if (!status->filtered) continue;  // a first thread that ended before there were filters has none
    const auto who = identify(thread);
    if (who.is_gone()) continue;
    if (!who.is_seen()) return Result::unknown();
    if (who->memory.readable()) return Result::seen(*who);
    if (!who->ended) alive = *who;
  }
  return Result::seen(alive);
}

// Adds what is known of the process, if it is one that may belong to a sealed tree. False if that can't be
// told.
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

// All processes, if that is sure. Who is born while they are looked at is looked at afterwards, until nobody
// was; on a machine where that has no end, it is not sure.
Look<std::vector<Identified>> Identification::everybody() const {
  using Result = Look<std::vector<Identified>>;
  constexpr int kMostRounds = 20;
  const std::uint64_t most = proc_.most_numbers();
  shim::Births before = proc_.births();
  const auto processes = proc_.processes();
  if (before.last == 0 || !processes.is_seen()) return Result::unknown();
  std::vector<Identified> alive;
  for (const pid_t process : *processes) {
    if (!add_identified(process, alive)) return Result::unknown();
  }
  for (int round = 0; round < kMostRounds; ++round) {
    const shim::Births now = proc_.births();
    if (now.last == before.last) return Result::seen(std::move(alive));
    // Numbers that have come around can't be told from others.
    if (!now.soon_after(before, most) || now.last < before.last) return Result::unknown();
    for (long task = before.last + 1; task <= now.last; ++task) {
      const auto who = identify(static_cast<pid_t>(task));
      if (who.is_gone() || (who.is_seen() && who->process.id != task)) continue;  // or a thread
      if (!add_identified(static_cast<pid_t>(task), alive)) return Result::unknown();
    }
    before = now;
  }
  return Result::unknown();
}

}  // namespace libmseal::supervisor
