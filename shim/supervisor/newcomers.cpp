#include "shim/supervisor/newcomers.h"

#include <algorithm>

#include "shim/supervisor/birth_times.h"

namespace libmseal::supervisor {

Newcomers::Newcomers(Proc& proc, std::list<Image>& images, const Identification& identification,
                     CollectionTimes& times, const policy::Range& arena)
    : proc_(proc), images_(images), identification_(identification), times_(times) {
  // Sealed from birth, in every process: the first filter refuses there.
  const std::uint64_t middle = arena.start + arena.size() / 2;
  (void)at_birth_.add({{{arena.start, middle}, true}, false, 0, 0, {}});
  (void)at_birth_.add({{{middle, arena.end}}, false, 0, 0, {}});
}

// Several if addresses are not randomised, or if the process hid its memory before it was met: then nothing
// shows which process it was forked from.
std::vector<Image*> Newcomers::images_of(const Identified& who) {
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

// The number and the start time may be another's, too; only the held task tells.
const Member* Newcomers::held_member(const Image& image, const Identified& who) {
  const auto found = image.members.find(who.process);
  if (found == image.members.end() || found->second.task == nullptr) return nullptr;
  const HeldTask* const held = found->second.task.get();
  return held == who.seen_by || held->stat().is_seen() ? &found->second : nullptr;
}

std::shared_ptr<Record> Newcomers::fresh_record() {
  auto record = std::make_shared<Record>();
  record->merge(at_birth_);
  return record;
}

std::shared_ptr<Record> Newcomers::seals_of_everybody() {
  auto record = fresh_record();
  std::vector<Record*> all;
  for (const Image& image : images_) {
    for (const auto& [process, member] : image.members) all.push_back(member.record.get());
    for (const auto& ended : image.ended) all.push_back(ended.get());
  }
  record->inherit(all, {});
  return record;
}

std::shared_ptr<Record> Newcomers::seals_of_newcomer(const std::vector<Image*>& candidates,
                                                     const Identified& who) {
  auto record = fresh_record();
  std::vector<Record*> own;  // if it could not be held and may be another: all of them
  for (const Image* const image : candidates) {
    const auto known = image->members.find(who.process);
    if (known != image->members.end()) own.push_back(known->second.record.get());
  }
  record->inherit(own, {});
  record->inherit(records_of_makers(candidates, who), birth_of(proc_, who.process, who.filters));
  return record;
}

// Of all processes that it may have been copied from.
std::vector<Record*> Newcomers::records_of_makers(const std::vector<Image*>& candidates,
                                                  const Identified& who) const {
  if (candidates.size() == 1 && who.memory.readable()) {
    Record* const only = record_of_parent(*candidates.front(), who.process);
    if (only != nullptr) return {only};
  }
  std::vector<Record*> makers;
  for (const Image* const image : candidates) {
    for (const auto& [other, member] : image->members) {
      if (!(other == who.process)) makers.push_back(member.record.get());
    }
    for (const auto& ended : image->ended) makers.push_back(ended.get());
  }
  return makers;
}

// Null if it is not sure that the process was copied from a member of the image.
Record* Newcomers::record_of_parent(const Image& image, const Process& process) const {
  const auto child = proc_.stat(process.id);
  if (!child.is_seen() || child->start_time != process.start_time) return nullptr;
  const auto parent = image.members.lower_bound({static_cast<pid_t>(child->parent), 0});
  if (parent == image.members.end() || parent->first.id != static_cast<pid_t>(child->parent)) return nullptr;
  const Member& member = parent->second;
  // It was met before the child was looked at, and is there after that: so it was this one that had the
  // number.
  if (member.task == nullptr || member.met_hidden || !member.task->stat().is_seen()) return nullptr;
  return lineage_.has_only_own_children(parent->first) ? member.record.get() : nullptr;
}

Member& Newcomers::join(Image& image, const Process& process, std::shared_ptr<Record> record) {
  auto task = proc_.hold(process.id);
  // Held too late, it is another's.
  if (task != nullptr) {
    const auto stat = task->stat();
    if (!stat.is_seen() || stat->start_time != process.start_time) task = nullptr;
  }
  Member& member = image.members[process];  // at last: what throws before leaves no member without a record
  member.task = std::move(task);
  member.record = std::move(record);
  times_.note_new(proc_);
  return member;
}

// That of members of other processes with which the task shares its memory; null if there are none.
std::shared_ptr<Record> Newcomers::record_of_memory(const std::vector<Image*>& candidates, const Process& own,
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
void Newcomers::forget_guesses(const Process& process, const std::vector<Image*>& candidates) {
  for (Image& image : images_) {
    const auto guess = image.members.find(process);
    if (guess == image.members.end() || !guess->second.met_hidden) continue;
    if (std::ranges::find(candidates, &image) == candidates.end()) image.members.erase(guess);
  }
}

// The memory of a member that was met hidden shows now, by a thread if the first one has none: it may be that
// of others, who have sealed since.
void Newcomers::settle(const Identified& who, pid_t task, const std::vector<Image*>& candidates) {
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
Member& Newcomers::join_newcomer(Image& image, const Identified& who, pid_t task,
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

void Newcomers::meet(Image& image, const Identified& who) {
  const std::vector<Image*> candidates = images_of(who);
  if (std::ranges::find(candidates, &image) == candidates.end()) return;
  const bool met =
      std::ranges::any_of(candidates, [&](const Image* one) { return held_member(*one, who) != nullptr; });
  if (!met) (void)join_newcomer(image, who, who.process.id, candidates);
}

bool Newcomers::is_gone(const Member& member) {
  return member.task != nullptr && member.task->stat().is_gone();
}

std::vector<Process> Newcomers::members_gone(const Image& image) {
  constexpr std::size_t kMostLooks = 256;  // of more, the collection forgets some now and then
  std::vector<Process> gone;
  if (image.members.size() > kMostLooks) return gone;
  for (const auto& [process, member] : image.members) {
    if (is_gone(member)) gone.push_back(process);
  }
  return gone;
}

// Who has seals from a member that has ended can be found by now. But the numbers that were given since the
// last look do not show everybody: one that was given before may be that of a process that was still being
// born. So it takes a look at all to forget somebody.
void Newcomers::register_children(Image& image, const Caller& caller) {
  const std::vector<Process> gone = members_gone(image);  // first: what they have made can be found by now
  const std::uint64_t start = proc_.now();
  const bool forgets = (!gone.empty() || !image.ended.empty()) && image.looks.allows(start);
  const shim::Births now = proc_.births();
  if (image.met.last == 0 && !caller.forked && caller.process == image.creator)
    image.met = births_at_birth_of(proc_, caller.process, now);
  if (!forgets && now.none_since(image.met)) return;
  const bool few = now.few_since(image.met, proc_.most_numbers());
  auto born = Look<std::vector<Identified>>::unknown();
  if (forgets || !few) born = identification_.everybody();
  const bool all = born.is_seen();
  if (!all && few) born = identification_.born_since(image.met);
  image.met = now;
  if (forgets) image.looks.spend(proc_.now() - start);
  if (!born.is_seen()) return;  // who is not met gets more than it has, not less
  for (const Identified& who : *born) meet(image, who);
  if (!all) return;
  for (const Process& process : gone) {
    const auto found = image.members.find(process);  // which may be another's by now, of the same tick
    if (found != image.members.end() && is_gone(found->second)) image.members.erase(found);
  }
  image.ended.clear();
}

}  // namespace libmseal::supervisor
