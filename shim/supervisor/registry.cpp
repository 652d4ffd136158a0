#include "shim/supervisor/registry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>
#include <stdexcept>

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;

// What could be told of a task and its process.
struct Registry::Identified {
  Process process;
  MmIdentity memory;
  bool forked = false;    // it has not called execve since it was forked
  bool filtered = false;  // runs under seccomp filters
  bool ended = false;     // a task that has no memory any more

  // Whether the process is, or may be, of the image: its memory was not made by an execve of its own, unless
  // that is how the image began.
  [[nodiscard]] bool may_be_of(const Image& image) const {
    if (memory.readable()) return memory == image.identity && has_not_left(image);
    return filtered && !ended && has_not_left(image);
  }
  // The same of a process that was of the image when it was met. This shows whatever it lets others look at.
  [[nodiscard]] bool has_not_left(const Image& image) const {
    if (forked) return true;
    const auto is_there = [](const std::unique_ptr<HeldMemory>& held) {
      return held == nullptr || !held->gone();
    };
    if (process == image.creator && is_there(image.memory)) return true;
    const auto member = image.members.find(process);
    return member != image.members.end() && member->second.executed_it && is_there(member->second.memory);
  }
};

namespace {

constexpr std::size_t kCollectEvery = 128;

std::uint64_t nanoseconds_of_ticks(std::uint64_t ticks) {
  static const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (1'000'000'000 / per_second);
}

}  // namespace

Registry::Registry(Proc& proc, const Range& arena, const policy::TreeRules& rules)
    : proc_(proc), arena_(arena), rules_(rules), filtered_since_(proc.now()) {}

// ---- who calls ----

Look<Registry::Identified> Registry::identify(pid_t task) {
  using Result = Look<Identified>;
  const auto failed = [](bool gone) { return gone ? Result::gone() : Result::unknown(); };
  const auto described = [](pid_t leader, const policy::StatLine& process, const policy::StatLine& memory,
                            bool filtered) {
    return Result::seen({{leader, process.start_time},
                         MmIdentity::of(memory),
                         (process.flags & policy::kForkedNoExec) != 0,
                         filtered,
                         memory.state == 'Z' || memory.state == 'X'});
  };
  if (const HeldTask* const held = held_leader(task)) {
    // A member's first thread: one look at what is held.
    if (const auto stat = held->stat(); stat.is_seen()) return described(task, *stat, *stat, true);
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
  return described(leader, *of_process, *stat, status->filtered);
}

const HeldTask* Registry::held_leader(pid_t task) const {
  for (const Image& image : images_) {
    const auto found = image.members.lower_bound({task, 0});
    if (found == image.members.end() || found->first.id != task) continue;
    if (const HeldTask* const held = found->second.task.get(); held != nullptr && held->stat().is_seen())
      return held;
  }
  return nullptr;
}

Caller Registry::look_up(pid_t task) {
  Caller caller;
  caller.task = task;
  caller.record = nullptr;
  const auto who = identify(task);
  if (!who.is_seen()) {
    caller.record = seals_of_everybody();
    return caller;
  }
  caller.process = who->process;
  caller.identity = who->memory;
  caller.forked = who->forked;
  const std::vector<Image*> candidates = images_of(*who);
  if (candidates.empty()) {
    caller.standing = Caller::Standing::foreign;
    return caller;
  }
  caller.standing = Caller::Standing::member;
  for (Image* const image : candidates) {
    if (const Member* const member = held_member(*image, who->process)) {
      caller.image = image;
      caller.record = member->record;
      caller.hidden = !who->memory.readable() && (member->met_hidden || may_have_left(*who, *image, *member));
      return caller;
    }
  }
  caller.image = candidates.front();
  caller.record = join_newcomer(*caller.image, *who, task, candidates).record;
  caller.hidden = !who->memory.readable();
  return caller;
}

// For a process that called execve and whose memory cannot be read: whether it may have called execve again.
// The held memory tells, unless it could not be held or another process keeps it alive.
bool Registry::may_have_left(const Identified& who, const Image& image, const Member& member) const {
  if (who.forked) return false;
  const auto& memory = who.process == image.creator ? image.memory : member.memory;
  return memory == nullptr || processes_with(*member.record).size() > 1;
}

// The number and the start time may be another's, too; only the held task tells.
const Member* Registry::held_member(const Image& image, const Process& process) {
  const auto found = image.members.find(process);
  if (found == image.members.end() || found->second.task == nullptr) return nullptr;
  return found->second.task->stat().is_seen() ? &found->second : nullptr;
}

// Several if addresses are not randomised, or if the process hid its memory before it was met: then nothing
// shows which process it was forked from.
std::vector<Image*> Registry::images_of(const Identified& who) {
  std::vector<Image*> images;
  const auto take = [&](auto is_one) {
    for (Image& image : images_) {
      if (is_one(image)) images.push_back(&image);
    }
  };
  if (!who.memory.readable()) {
    take([&](const Image& image) {
      return held_member(image, who.process) != nullptr && who.has_not_left(image);
    });
  }
  if (images.empty()) take([&](const Image& image) { return who.may_be_of(image); });
  return images;
}

void Registry::meet(Image& image, const Identified& who) {
  const std::vector<Image*> candidates = images_of(who);
  if (std::ranges::find(candidates, &image) == candidates.end()) return;
  const bool met = std::ranges::any_of(
      candidates, [&](const Image* one) { return held_member(*one, who.process) != nullptr; });
  if (!met) (void)join_newcomer(image, who, who.process.id, candidates);
}

void Registry::register_children(Image& image) {
  const shim::Births now = proc_.births();
  if (now.none_since(image.met)) return;
  std::vector<pid_t> born;
  if (now.soon_after(image.met) && now.last > image.met.last) {
    for (long task = image.met.last + 1; task <= now.last; ++task) born.push_back(static_cast<pid_t>(task));
  } else if (const auto all = proc_.processes(); all.is_seen()) {
    born = *all;
  } else {
    return;  // who is not met gets more than it has, not less
  }
  for (const pid_t task : born) {
    const auto who = identify(task);
    if (who.is_seen() && who->process.id == task) meet(image, *who);
  }
  image.met = now;
}

std::shared_ptr<Record> Registry::fresh_record() const {
  auto record = std::make_shared<Record>();
  // Sealed from birth, in every process: the first filter refuses there.
  const std::uint64_t middle = arena_.start + arena_.size() / 2;
  (void)record->add({{{arena_.start, middle}, true, false, 0}, false, 0, 0, {}});
  (void)record->add({{{middle, arena_.end}, false, false, 0}, false, 0, 0, {}});
  return record;
}

std::shared_ptr<Record> Registry::seals_of_everybody() const {
  auto record = fresh_record();
  Record::Seen seen;
  for (const Image& image : images_) {
    for (const auto& [process, member] : image.members) record->inherit(*member.record, {}, seen);
    for (const auto& ended : image.ended) record->inherit(*ended, {}, seen);
  }
  return record;
}

Birth Registry::birth_of(const Process& process) {
  const auto status = proc_.status(process.id);
  // It was born before the end of that tick.
  return {nanoseconds_of_ticks(process.start_time + 1), status.is_seen() ? status->filters : ~0U};
}

std::shared_ptr<Record> Registry::seals_of_newcomer(const std::vector<Image*>& candidates,
                                                    const Process& process) {
  auto record = fresh_record();
  const Birth birth = birth_of(process);
  Record::Seen seen;
  for (const Image* const image : candidates) {
    for (const auto& [other, member] : image->members) {
      // Its own seals, if it could not be held and may be another: all of them.
      record->inherit(*member.record, other == process ? Birth{} : birth, seen);
    }
    for (const auto& ended : image->ended) record->inherit(*ended, birth, seen);
  }
  return record;
}

Member& Registry::join(Image& image, const Process& process, std::shared_ptr<Record> record) {
  ++made_since_collection_;
  auto task = proc_.hold(process.id);
  // Held too late, it is another's.
  if (task != nullptr) {
    const auto stat = task->stat();
    if (!stat.is_seen() || stat->start_time != process.start_time) task = nullptr;
  }
  Member& member = image.members[process];  // at last: what throws before leaves no member without a record
  member.task = std::move(task);
  member.record = std::move(record);
  return member;
}

// That of members with which the task shares its memory; null if there are none.
std::shared_ptr<Record> Registry::record_of_memory(const std::vector<Image*>& candidates, pid_t task) {
  for (const Image* const image : candidates) {
    for (const auto& [process, member] : image->members) {
      if (member.task == nullptr || process.id == task) continue;
      const auto stat = member.task->stat();
      if (!stat.is_seen()) continue;
      const Identified other{process, MmIdentity::of(*stat), (stat->flags & policy::kForkedNoExec) != 0, true,
                             false};
      if (other.has_not_left(*image) && proc_.share_mm(task, process.id)) return member.record;
    }
  }
  return nullptr;
}

// Its memory can be read now, so it belongs to the candidates alone.
void Registry::forget_guesses(const Process& process, const std::vector<Image*>& candidates) {
  for (Image& image : images_) {
    const auto guess = image.members.find(process);
    if (guess == image.members.end() || !guess->second.met_hidden) continue;
    if (std::ranges::find(candidates, &image) == candidates.end()) image.members.erase(guess);
  }
}

// The record of a member that can't be held, which may be another by now, stays the same object: it may be
// that of sharers, and is about to get a seal.
Member& Registry::join_newcomer(Image& image, const Identified& who, pid_t task,
                                const std::vector<Image*>& candidates) {
  auto record = record_of_memory(candidates, task);
  if (record == nullptr) record = seals_of_newcomer(candidates, who.process);
  for (const Image* const one : candidates) {
    const auto known = one->members.find(who.process);
    if (known == one->members.end() || known->second.record == record) continue;
    known->second.record->merge(*record);
    record = known->second.record;
  }
  if (who.memory.readable()) {
    forget_guesses(who.process, candidates);
    return join(image, who.process, std::move(record));
  }
  // It joins every image that it may belong to, so that it is known when its memory can be read.
  for (Image* const one : candidates) join(*one, who.process, record).met_hidden = true;
  return image.members.at(who.process);
}

// ---- images ----

std::vector<Range> Registry::inherited_filters(const Process& process) {
  std::vector<Range> ranges;
  const auto take = [&](const Record& record, const Birth& birth) {
    for (const SealEntry& entry : record.entries()) {
      if (entry.filtered && birth.may_have(entry)) ranges.push_back(entry.seal.range);
    }
  };
  const auto take_fences = [&](const Image& image) {
    const auto fences = image.table->fences();
    ranges.insert(ranges.end(), fences.begin(), fences.end());
  };
  bool known = false;  // by what it was before it called execve
  for (const Image& image : images_) {
    const auto found = image.members.find(process);
    if (found == image.members.end() || found->second.task == nullptr) continue;
    known = true;
    take(*found->second.record, {});
    take_fences(image);
  }
  if (known) return ranges;
  // Some it may have made itself since it was born.
  const Birth birth{~0ULL, birth_of(process).filters};
  for (const Image& image : images_) {
    for (const auto& [other, member] : image.members) take(*member.record, birth);
    for (const auto& ended : image.ended) take(*ended, birth);
    take_fences(image);
  }
  for (const SealEntry& entry : retired_filters_) {
    if (birth.may_have(entry)) ranges.push_back(entry.seal.range);
  }
  return ranges;
}

void Registry::retire(Image& image, const std::shared_ptr<Record>& record) {
  if (std::ranges::find(image.ended, record) == image.ended.end()) image.ended.push_back(record);
}

void Registry::make_image(Caller& caller, std::unique_ptr<TableFile> table) {
  std::vector<Range> inherited = inherited_filters(caller.process);
  std::ranges::sort(inherited, {}, &Range::start);
  std::vector<Range> fences;
  for (const Range& range : inherited) {
    if (!fences.empty() && range.start <= fences.back().end) {
      fences.back().end = std::max(fences.back().end, range.end);
    } else {
      fences.push_back(range);
    }
  }
  for (const Range& fence : fences) {
    if (!table->add_fence(fence)) throw std::runtime_error("too many ranges are fenced off");
  }
  table->set_tree(arena_, rules_);

  if (images_.empty() && first_filters_ == ~0U) {
    const auto status = proc_.status(caller.process.id);
    if (status.is_seen()) first_filters_ = status->filters;
  }

  Image image;
  image.identity = caller.identity;
  image.creator = caller.process;
  // Of the task that lives: the first thread may have ended.
  image.memory = hold_memory(caller.task);
  image.table = std::move(table);
  images_.push_back(std::move(image));
  Member& member = join(images_.back(), caller.process, fresh_record());
  // It has called execve: what it had before is for the children that it had then.
  for (Image& other : images_) {
    const auto found = other.members.find(caller.process);
    if (&other == &images_.back() || found == other.members.end()) continue;
    retire(other, found->second.record);
    other.members.erase(found);
  }
  caller.standing = Caller::Standing::member;
  caller.image = &images_.back();
  caller.record = member.record;
}

// ---- sealing ----

shim::Sharing Registry::begin_sealing(const Caller& caller) {
  caller.record->prepared = proc_.now();
  caller.record->asked = proc_.births();
  register_children(*caller.image);
  return sharers(caller);  // at last: who was just met may share the memory
}

shim::Sharing Registry::sharers(const Caller& caller) {
  std::vector<pid_t> found;
  auto sharing = proc_.sharers(caller.process.id, caller.task, caller.record->alone_since, found);
  for (const pid_t sharer : found) {
    const auto who = identify(sharer);
    if (who.is_gone()) continue;
    if (!who.is_seen()) {
      sharing = shim::Sharing::unknown;
      continue;
    }
    if (!has_first_filter(who->process, sharer)) sharing = shim::Sharing::unknown;
    bool held = false;
    for (Image& image : images_) {  // it may have been met as one of another with the same addresses
      const auto member = image.members.find(who->process);
      if (member == image.members.end()) continue;
      const bool other = who->memory.readable() && who->memory != image.identity;
      if (other && !member->second.met_hidden) continue;
      if (member->second.record != caller.record) caller.record->merge(*member->second.record);
      member->second.record = caller.record;
      held = held || (&image == caller.image && held_member(image, who->process) != nullptr);
    }
    if (!held) (void)join(*caller.image, who->process, caller.record);
    if (!who->forked) note_executed(*caller.image, who->process, caller);
  }
  return sharing;
}

// A filter reaches the threads of the process that installs it and what is born of them, no other process:
// one that was there before the first filter has none, and nobody hears of its calls.
bool Registry::has_first_filter(const Process& process, pid_t task) const {
  const auto status = proc_.status(task);
  if (!status.is_seen() || !status->filtered) return false;
  if (nanoseconds_of_ticks(process.start_time) > filtered_since_) return true;
  // Born in the same tick: the number of filters tells.
  return nanoseconds_of_ticks(process.start_time + 1) > filtered_since_ && status->filters != ~0U &&
         status->filters >= first_filters_;
}

void Registry::note_alone(const Caller& caller, const shim::Births& since) {
  caller.record->alone_since = since;
}

std::vector<pid_t> Registry::processes_with(const Record& record) const {
  std::vector<pid_t> found;
  for (const Image& image : images_) {
    for (const auto& [process, member] : image.members) {
      if (member.record.get() == &record) found.push_back(process.id);
    }
  }
  return found;
}

// The process called execve to become what the caller, which has the same memory, seals: so it is of the
// image as long as that memory is there. That of a creator may be another than the one that it had first.
void Registry::note_executed(Image& image, const Process& process, const Caller& caller) {
  auto memory = hold_memory(caller.task);
  const auto found = image.members.find(process);
  Member& member = found != image.members.end() ? found->second : join(image, process, caller.record);
  if (process == image.creator) {
    image.memory = std::move(memory);
    return;
  }
  member.executed_it = true;
  member.memory = std::move(memory);
}

// Null if it can't be held: then it counts as there.
std::unique_ptr<HeldMemory> Registry::hold_memory(pid_t task) {
  auto memory = proc_.hold_memory(task);
  if (memory != nullptr && memory->gone()) memory = nullptr;
  return memory;
}

long Registry::add(const Caller& caller, const Seal& seal, bool filtered, bool from_start) {
  if (!caller.forked) note_executed(*caller.image, caller.process, caller);
  SealEntry entry{seal, filtered, 0, caller.record->prepared != 0 ? caller.record->prepared : proc_.now(),
                  from_start ? Process{} : caller.process};
  if (filtered) {
    const auto status = proc_.status(caller.process.id);
    // Not known: 0, so that every later child has it.
    entry.filters = status.is_seen() && status->filters != ~0U ? status->filters : 0;
  }
  if (!caller.record->add(entry)) return -ENOMEM;
  caller.image->table->add(seal);
  return 0;
}

// ---- forgetting ----

void Registry::keep_filters(const Image& image) {
  const auto keep = [&](const Record& record) {
    std::ranges::copy_if(record.entries(), std::back_inserter(retired_filters_), &SealEntry::filtered);
  };
  for (const auto& [process, member] : image.members) keep(*member.record);
  for (const auto& ended : image.ended) keep(*ended);
  for (const Range& fence : image.table->fences()) retired_filters_.push_back({{fence}, true, 0, 0, {}});
  // The oldest go: a program that lands on one of them, which is rare, is refused that place.
  constexpr std::size_t kMost = shim::kMostFences / 2;
  if (retired_filters_.size() <= kMost) return;
  retired_filters_.erase(retired_filters_.begin(),
                         retired_filters_.end() - static_cast<std::ptrdiff_t>(kMost));
}

// What a thread shows of a process whose first one does not show its memory: that may not be looked at, or
// has ended, or is the kernel's own. Nothing if the process is of no sealed tree or has ended.
Look<std::optional<Registry::Identified>> Registry::known_by_thread(pid_t process) {
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
bool Registry::add_identified(pid_t process, std::vector<Identified>& alive) {
  const auto who = identify(process);
  if (who.is_gone()) return true;
  if (!who.is_seen()) return false;
  if (who->memory.readable()) {
    alive.push_back(*who);
    return true;
  }
  const auto thread = known_by_thread(process);
  if (thread.is_seen() && *thread) alive.push_back(**thread);
  return thread.is_seen();
}

// All processes, if that is sure. Who is born while they are looked at is looked at afterwards, until nobody
// was; on a machine where that has no end, it is not sure.
Look<std::vector<Registry::Identified>> Registry::everybody() {
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

// A child may have its seals from nobody but a member that has ended: so all children are met first.
void Registry::forget_ended(Image& image, const std::vector<Identified>& alive) {
  for (const Identified& one : alive) meet(image, one);
  image.ended.clear();
  std::erase_if(image.members, [&](const auto& entry) {
    return std::ranges::none_of(alive, [&](const Identified& one) { return one.process == entry.first; });
  });
}

bool Registry::collect() {
  return made_since_collection_ >= kCollectEvery && collect_now();
}

bool Registry::collect_now() {
  const auto alive = everybody();
  // Without a proof nothing is forgotten; the next attempt is not at once, for it takes a look at everybody.
  made_since_collection_ = alive.is_seen() ? 0 : kCollectEvery / 2;
  if (!alive.is_seen()) return false;
  std::set<const Image*> used;
  bool others = false;
  for (const Identified& one : *alive) {
    const std::vector<Image*> images = images_of(one);
    used.insert(images.begin(), images.end());
    // A program without the library has inherited filters, too; one that it starts may have the library.
    others = others || (one.filtered && images.empty());
  }
  if (!others) retired_filters_.clear();
  images_.remove_if([&](const Image& image) {
    if (used.contains(&image)) return false;
    if (others) keep_filters(image);
    return true;
  });
  for (Image& image : images_) forget_ended(image, *alive);
  made_since_collection_ = 0;
  return true;
}

}  // namespace libmseal::supervisor
