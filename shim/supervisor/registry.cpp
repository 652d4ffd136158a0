#include "shim/supervisor/registry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>
#include <stdexcept>

#include "shim/supervisor/ranges.h"

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;

namespace {

constexpr std::size_t kCollectEvery = 128;
constexpr std::size_t kCollectIdle = 64;
constexpr std::size_t kCollectShortOfFiles = 8;

std::uint64_t nanoseconds_of_ticks(std::uint64_t ticks) {
  static const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (1'000'000'000 / per_second);
}

}  // namespace

Registry::Registry(Proc& proc, const Range& arena, const policy::TreeRules& rules)
    : proc_(proc), arena_(arena), rules_(rules), filtered_since_(proc.now()) {
  // Sealed from birth, in every process: the first filter refuses there.
  const std::uint64_t middle = arena_.start + arena_.size() / 2;
  (void)at_birth_.add({{{arena_.start, middle}, true}, false, 0, 0, {}});
  (void)at_birth_.add({{{middle, arena_.end}}, false, 0, 0, {}});
  gather_all_seals();
}

// Of a record that has run out of room, what it covers in vain is left out as long as all that it has covered
// is here.
void Registry::gather_all_seals() {
  const auto everybody = seals_of_everybody();
  all_seals_.assign(everybody->seals().begin(), everybody->seals().end());
  all_seals_fit_ = true;
}

// ---- who calls ----

Caller Registry::look_up(pid_t task) {
  Caller caller;
  caller.task = task;
  caller.record = nullptr;
  const auto who = identification_.identify(task);
  if (!who.is_seen()) {
    caller.record = seals_of_everybody();
    return caller;
  }
  caller.process = who->process;
  caller.identity = who->memory;
  caller.forked = who->forked;
  caller.filters = who->filters;
  caller.certain = who->seen_by != nullptr;
  const std::vector<Image*> candidates = images_of(*who);
  if (candidates.empty()) {
    caller.standing = Caller::Standing::foreign;
    return caller;
  }
  caller.standing = Caller::Standing::member;
  for (Image* const image : candidates) {
    if (const Member* const member = held_member(*image, *who)) {
      if (member->met_hidden && who->memory.readable()) settle(*who, task, candidates);
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
const Member* Registry::held_member(const Image& image, const Identified& who) {
  const auto found = image.members.find(who.process);
  if (found == image.members.end() || found->second.task == nullptr) return nullptr;
  const HeldTask* const held = found->second.task.get();
  return held == who.seen_by || held->stat().is_seen() ? &found->second : nullptr;
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
    take([&](const Image& image) { return held_member(image, who) != nullptr && who.has_not_left(image); });
  }
  if (images.empty()) take([&](const Image& image) { return who.may_be_of(image); });
  return images;
}

void Registry::meet(Image& image, const Identified& who) {
  const std::vector<Image*> candidates = images_of(who);
  if (std::ranges::find(candidates, &image) == candidates.end()) return;
  const bool met =
      std::ranges::any_of(candidates, [&](const Image* one) { return held_member(*one, who) != nullptr; });
  if (!met) (void)join_newcomer(image, who, who.process.id, candidates);
}

// When a process was born that has called execve since: whoever has its memory was born later. `now` is now.
shim::Births Registry::at_birth_of(const Process& process, const shim::Births& now) {
  const std::uint64_t age = proc_.now() - nanoseconds_of_ticks(process.start_time);
  return {process.id, now.time - age};
}

void Registry::register_children(Image& image, const Caller& caller) {
  const shim::Births now = proc_.births();
  if (image.met.last == 0 && !caller.forked && caller.process == image.creator)
    image.met = at_birth_of(caller.process, now);
  if (now.none_since(image.met)) return;
  std::vector<pid_t> born;
  if (now.few_since(image.met, proc_.most_numbers())) {
    for (long task = image.met.last + 1; task <= now.last; ++task) born.push_back(static_cast<pid_t>(task));
  } else if (const auto all = proc_.processes(); all.is_seen()) {
    born = *all;
  } else {
    return;  // who is not met gets more than it has, not less
  }
  for (const pid_t task : born) {
    const auto who = identification_.identify(task);
    if (who.is_seen() && who->process.id == task) meet(image, *who);
  }
  image.met = now;
}

std::shared_ptr<Record> Registry::fresh_record() {
  auto record = std::make_shared<Record>();
  record->merge(at_birth_);
  return record;
}

std::shared_ptr<Record> Registry::seals_of_everybody() {
  auto record = fresh_record();
  std::vector<Record*> all;
  for (const Image& image : images_) {
    for (const auto& [process, member] : image.members) all.push_back(member.record.get());
    for (const auto& ended : image.ended) all.push_back(ended.get());
  }
  record->inherit(all, {});
  return record;
}

// Of the filters that a task has now, its process was born with some.
Birth Registry::birth_of(const Process& process, std::uint32_t filters) {
  if (filters == ~0U) {
    if (const auto status = proc_.status(process.id); status.is_seen()) filters = status->filters;
  }
  // It was born before the end of that tick.
  return {nanoseconds_of_ticks(process.start_time + 1), filters};
}

std::shared_ptr<Record> Registry::seals_of_newcomer(const std::vector<Image*>& candidates,
                                                    const Identified& who) {
  auto record = fresh_record();
  std::vector<Record*> own;  // if it could not be held and may be another: all of them
  std::vector<Record*> others;
  for (const Image* const image : candidates) {
    for (const auto& [other, member] : image->members)
      (other == who.process ? own : others).push_back(member.record.get());
    for (const auto& ended : image->ended) others.push_back(ended.get());
  }
  record->inherit(own, {});
  record->inherit(others, birth_of(who.process, who.filters));
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
  if (made_since_collection_ >= kCollectShortOfFiles && proc_.is_short_of_files())
    made_since_collection_ = std::max(made_since_collection_, kCollectEvery);
  return member;
}

// That of members of other processes with which the task shares its memory; null if there are none.
std::shared_ptr<Record> Registry::record_of_memory(const std::vector<Image*>& candidates, const Process& own,
                                                   pid_t task) {
  for (const Image* const image : candidates) {
    for (const auto& [process, member] : image->members) {
      if (member.task == nullptr || process == own || !proc_.share_mm(task, process.id)) continue;
      const auto stat = member.task->stat();  // after that: so it was this process
      if (!stat.is_seen()) continue;
      const Identified other{process, MmIdentity::of(*stat), (stat->flags & policy::kForkedNoExec) != 0,
                             true};
      if (other.has_not_left(*image)) return member.record;
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

// The memory of a member that was met hidden shows now, by a thread if the first one has none: it may be that
// of others, who have sealed since.
void Registry::settle(const Identified& who, pid_t task, const std::vector<Image*>& candidates) {
  const auto shared = record_of_memory(candidates, who.process, task);
  for (Image* const image : candidates) {
    const auto found = image->members.find(who.process);
    if (found == image->members.end()) continue;
    Member& member = found->second;
    member.met_hidden = false;
    if (shared == nullptr || member.record == shared) continue;
    shared->merge(*member.record);
    member.record = shared;
  }
  forget_guesses(who.process, candidates);
}

// The record of a member that can't be held, which may be another by now, stays the same object: it may be
// that of sharers, and is about to get a seal.
Member& Registry::join_newcomer(Image& image, const Identified& who, pid_t task,
                                const std::vector<Image*>& candidates) {
  auto record = record_of_memory(candidates, who.process, task);
  if (record == nullptr) record = seals_of_newcomer(candidates, who);
  for (const Image* const one : candidates) {
    const auto known = one->members.find(who.process);
    if (known == one->members.end() || known->second.record == record) continue;
    known->second.record->merge(*record);
    record = known->second.record;
  }
  // Of the same number and tick, it may be another than the one that has sealed: then it lacks its filters.
  record->disown(who.process);
  if (who.memory.readable()) {
    forget_guesses(who.process, candidates);
    return join(image, who.process, std::move(record));
  }
  // It joins every image that it may belong to, so that it is known when its memory can be read.
  for (Image* const one : candidates) join(*one, who.process, record).met_hidden = true;
  return image.members.at(who.process);
}

// ---- images ----

std::vector<Range> Registry::inherited_filters(const Caller& caller) {
  std::vector<Range> ranges;
  History::Seen seen;
  const auto take = [&](const Record& record, const Birth& birth) {
    record.entries().for_each_unseen(seen, [&](const SealEntry& entry) {
      if (entry.filtered && birth.may_have(entry)) ranges.push_back(entry.seal.range);
    });
  };
  const auto take_fences = [&](std::span<const Range> fences) {
    ranges.insert(ranges.end(), fences.begin(), fences.end());
  };
  bool known = false;  // by what it was before it called execve
  for (const Image& image : images_) {
    const auto found = image.members.find(caller.process);
    if (found == image.members.end() || found->second.task == nullptr) continue;
    known = true;
    take(*found->second.record, {});
    take_fences(image.table->fences());
  }
  if (!known) {
    // Some it may have made itself since it was born.
    const Birth birth{~0ULL, birth_of(caller.process, caller.filters).filters};
    for (const Image& image : images_) {
      for (const auto& [other, member] : image.members) take(*member.record, birth);
      for (const auto& ended : image.ended) take(*ended, birth);
    }
    for (const SealEntry& entry : retired_filters_) {
      if (birth.may_have(entry)) ranges.push_back(entry.seal.range);
    }
    take_fences(all_fences_);
  }
  join_touching(ranges);
  return ranges;
}

void Registry::retire(Image& image, const std::shared_ptr<Record>& record) {
  if (std::ranges::find(image.ended, record) == image.ended.end()) image.ended.push_back(record);
}

void Registry::make_image(Caller& caller, std::unique_ptr<TableFile> table) {
  const std::vector<Range> fences = inherited_filters(caller);
  for (const Range& fence : fences) {
    if (!table->add_fence(fence)) throw std::runtime_error("too many ranges are fenced off");
  }
  all_fences_.insert(all_fences_.end(), fences.begin(), fences.end());
  join_touching(all_fences_);
  table->set_tree(arena_, rules_);

  if (images_.empty() && first_filters_ == ~0U) {
    const auto status = proc_.status(caller.process.id);
    if (status.is_seen()) first_filters_ = status->filters;
  }

  Image image;
  image.identity = caller.identity;
  image.creator = caller.process;
  image.memory = hold_memory(caller.process, caller);
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
  note_asked(caller);
}

// ---- sealing ----

void Registry::note_asked(const Caller& caller) {
  std::uint32_t filters = caller.filters;
  if (filters == ~0U) {
    if (const auto status = proc_.status(caller.task); status.is_seen()) filters = status->filters;
  }
  caller.record->asked_with = {caller.process, filters};
}

// Whether a process that has so many filters may have installed one since it asked. It may tell what it
// likes; children of others, with fewer filters, would have a seal that is none.
bool Registry::may_have_filtered(const Caller& caller, std::uint32_t filters) {
  const FilterCount& before = caller.record->asked_with;
  if (!(before.process == caller.process)) return false;
  return filters == ~0U || before.filters == ~0U || filters > before.filters;
}

void Registry::begin_sealing(const Caller& caller) {
  Record& record = *caller.record;
  if (record.told_with.process == caller.process) {
    record.asked_with = record.told_with;
  } else if (!(record.asked_with.process == caller.process)) {
    note_asked(caller);
  }
  record.prepared = proc_.now();
  record.asked = proc_.births();
  register_children(*caller.image, caller);
}

shim::Sharing Registry::sharers(const Caller& caller) {
  std::vector<pid_t> found;
  shim::Births since = caller.record->alone_since;
  const shim::Births now = proc_.births_since(since);
  // Nobody was born: what follows would find that out after some more looks.
  if (now.count != 0 && now.count == since.count) {
    caller.record->was_alone = true;
    return shim::Sharing::alone;
  }
  if (since.last == 0 && !caller.forked) since = at_birth_of(caller.process, now);
  // The only thread of its process, seen outside of clone (sharers.h).
  const auto threads = proc_.threads(caller.process.id);
  const bool is_only_thread = threads.is_seen() && *threads == std::vector{caller.task};
  const auto where = is_only_thread ? proc_.whereabouts(caller.task) : Look<policy::Whereabouts>::unknown();
  const bool makes_none = where.is_seen() && *where == policy::Whereabouts::elsewhere;
  auto sharing = proc_.sharers(caller.process.id, caller.task, since, now, found);
  caller.record->was_alone = sharing == shim::Sharing::alone;
  if (sharing == shim::Sharing::alone && makes_none) note_alone(caller, now);
  for (const pid_t sharer : found) {
    const auto who = identification_.identify(sharer);
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
      held = held || (&image == caller.image && held_member(image, *who) != nullptr);
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
  auto memory = hold_memory(process, caller);
  const auto found = image.members.find(process);
  Member& member = found != image.members.end() ? found->second : join(image, process, caller.record);
  if (process == image.creator) {
    image.memory = std::move(memory);
    return;
  }
  member.executed_it = true;
  member.memory = std::move(memory);
}

// The memory of the caller, which the process has, too. Null if it can't be held: then it counts as there.
//
// By the process itself if possible: held by a thread or by another process, memory shows no more once that
// has ended. But the first thread may have ended already.
std::unique_ptr<HeldMemory> Registry::hold_memory(const Process& process, const Caller& caller) {
  auto memory = proc_.hold_memory(process.id);
  const bool own =
      process == caller.process || (memory != nullptr && proc_.share_mm(process.id, caller.task));
  if (memory != nullptr && own && !memory->gone()) return memory;
  memory = proc_.hold_memory(caller.task);
  if (memory != nullptr && memory->gone()) memory = nullptr;
  return memory;
}

long Registry::add(const Caller& caller, std::span<const Seal> seals, bool filtered, bool from_start) {
  Record& record = *caller.record;
  // Until it asks something, an image that has said hello has the memory of then, and its first filter.
  const bool starts = record.prepared == 0;
  if (!caller.forked && !starts) note_executed(*caller.image, caller.process, caller);
  if (filtered && (!starts || record.filters == 0)) {
    const auto status = proc_.status(caller.task);
    const std::uint32_t filters = status.is_seen() ? status->filters : ~0U;
    if (!from_start && !may_have_filtered(caller, filters)) return -EPERM;
    // Not known: 0, so that every later child has it.
    record.filters = filters != ~0U ? filters : 0;
    record.told_with = {caller.process, filters};
  }
  SealEntry entry{
      {}, filtered, filtered ? record.filters : 0, starts ? proc_.now() : record.prepared, caller.process};
  if (from_start) entry.by = {};
  for (const Seal& seal : seals) {
    entry.seal = seal;
    // First: what is in a record is here, too.
    all_seals_fit_ = all_seals_fit_ && policy::add_seal(all_seals_, seal, shim::kMostSeals);
    if (!record.add(entry)) return -ENOMEM;
    caller.image->table->add(seal);
  }
  return 0;
}

void Registry::greet(const Caller& caller) {
  note_asked(caller);
  if (!caller.forked) note_executed(*caller.image, caller.process, caller);
}

// ---- forgetting ----

void Registry::keep_filters(const Image& image) {
  History::Seen seen;
  const auto keep = [&](const Record& record) {
    record.entries().for_each_unseen(seen, [&](const SealEntry& entry) {
      if (entry.filtered) retired_filters_.push_back(entry);
    });
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

// A child may have its seals from nobody but a member that has ended: so all children are met first.
void Registry::forget_ended(Image& image, const std::vector<Identified>& alive) {
  for (const Identified& one : alive) meet(image, one);
  image.ended.clear();
  std::erase_if(image.members, [&](const auto& entry) {
    return std::ranges::none_of(alive, [&](const Identified& one) { return one.process == entry.first; });
  });
}

bool Registry::collect(bool idle) {
  return made_since_collection_ >= (idle ? kCollectIdle : kCollectEvery) && collect_now();
}

bool Registry::wants_to_collect() const {
  return made_since_collection_ >= kCollectIdle;
}

bool Registry::collect_now() {
  const auto alive = identification_.everybody();
  // Without a proof nothing is forgotten; the next attempt is not at once, for it takes a look at everybody.
  made_since_collection_ = alive.is_seen() ? 0 : kCollectIdle / 2;
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
  std::vector<Range> all_fences;
  for (Image& image : images_) {
    forget_ended(image, *alive);
    const auto fences = image.table->fences();
    all_fences.insert(all_fences.end(), fences.begin(), fences.end());
  }
  join_touching(all_fences);
  all_fences_ = std::move(all_fences);
  gather_all_seals();
  made_since_collection_ = 0;
  return true;
}

}  // namespace libmseal::supervisor
