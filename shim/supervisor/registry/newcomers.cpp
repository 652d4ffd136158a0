#include "shim/supervisor/registry/newcomers.h"

#include <algorithm>

#include "shim/supervisor/registry/birth_times.h"

namespace libmseal::supervisor {

Newcomers::Newcomers(Proc& proc, Images& images, const Identification& identification, const Lineage& lineage,
                     ForgettingTimes& times, const policy::Range& sealed_area)
    : proc_(proc), images_(images), identification_(identification), lineage_(lineage), times_(times) {
  // The first filter refuses changes of the sealed area in every process.
  for (const policy::Seal& half : policy::seals_of_sealed_area(sealed_area))
    (void)at_birth_.add({half, false, 0, 0, {}});
}

// Several if addresses are not randomized, or if the memory of the process was already hidden when it was
// first seen: then nothing shows which process forked it.
std::vector<Image*> Newcomers::images_of(const Identified& who) {
  std::vector<Image*> images;
  const auto take_if_possible = [&](Image& image) {
    if (who.may_be_of(image)) images.push_back(&image);
  };
  if (who.memory.readable()) {
    for (Image* const image : images_.with_memory(who.memory)) take_if_possible(*image);
    return images;
  }
  for (Image* const image : images_.with_member(who.process.id)) {
    if (held_member(*image, who) != nullptr && who.has_not_left(*image)) images.push_back(image);
  }
  if (!images.empty()) return images;
  for (Image& image : images_) take_if_possible(image);
  return images;
}

// Another process may have the same ID and start time; only the held task is certain.
const Member* Newcomers::held_member(const Image& image, const Identified& who) {
  const Member* const member = image.find(who.process);
  if (member == nullptr || member->task == nullptr) return nullptr;
  return member->task.get() == who.seen_by || member->task->stat().is_seen() ? member : nullptr;
}

std::shared_ptr<SealRecord> Newcomers::fresh_record() {
  auto record = std::make_shared<SealRecord>();
  record->merge(at_birth_);
  return record;
}

std::shared_ptr<SealRecord> Newcomers::seals_of_everybody() {
  auto record = fresh_record();
  std::vector<SealRecord*> all;
  for (const Image& image : images_) {
    image.for_each_record([&](SealRecord& each) { all.push_back(&each); });
  }
  record->inherit(all, {});
  return record;
}

std::shared_ptr<SealRecord> Newcomers::seals_of_newcomer(const std::vector<Image*>& candidates,
                                                         const Identified& who) {
  auto record = fresh_record();
  std::vector<SealRecord*> own;  // of members that may be this process, because they could not be held
  for (const Image* const image : candidates) {
    if (const Member* const known = image->find(who.process)) own.push_back(known->record.get());
  }
  record->inherit(own, {});
  record->inherit(records_of_possible_parents(candidates, who), birth_of(proc_, who.process, who.filters));
  return record;
}

// The records of all processes that may have forked it.
std::vector<SealRecord*> Newcomers::records_of_possible_parents(const std::vector<Image*>& candidates,
                                                                const Identified& who) const {
  if (candidates.size() == 1 && who.memory.readable()) {
    SealRecord* const only = record_of_parent(*candidates.front(), who.process);
    if (only != nullptr) return {only};
  }
  std::vector<SealRecord*> parents;
  for (const Image* const image : candidates) {
    for (const auto& [other, member] : image->members) {
      if (other != who.process) parents.push_back(member.record.get());
    }
    for (const auto& ended : image->ended) parents.push_back(ended.get());
  }
  return parents;
}

// A parent that has not touched a seal is not a member yet. If it becomes one first, its child gets what the
// parent has inherited, and not the seals of all processes.
void Newcomers::register_parent(Image& image, const Process& process, int generation) {
  constexpr int kMostGenerations = 64;
  const auto child = proc_.stat(process.id);
  if (generation == kMostGenerations || !child.is_seen() || child->parent <= 1) return;
  const auto parent = identification_.identify(static_cast<pid_t>(child->parent));
  if (!parent.is_seen() || !parent->memory.readable() || image.members.contains(parent->process)) return;
  Identified who = *parent;
  who.seen_by = nullptr;  // as in everybody(): the member it was read from may be forgotten
  register_process(who, &image, generation + 1);
}

// Null if it is not certain that a member of the image has forked the process.
SealRecord* Newcomers::record_of_parent(const Image& image, const Process& process) const {
  const auto child = proc_.stat(process.id);
  if (!child.is_seen() || child->start_time != process.start_time) return nullptr;
  const auto* const parent = image.find_by_id(static_cast<pid_t>(child->parent));
  if (parent == nullptr) return nullptr;
  const Member& member = parent->second;
  // The member existed before the child was read and still exists: so the parent's ID was this member's.
  if (member.task == nullptr || member.first_seen_hidden || !member.task->stat().is_seen()) return nullptr;
  return lineage_.has_only_own_children(parent->first) ? member.record.get() : nullptr;
}

Member& Newcomers::join(Image& image, const Process& process, std::shared_ptr<SealRecord> record) {
  auto task = proc_.hold(process.id);
  // If it was held too late, it may be another process.
  if (task != nullptr) {
    const auto stat = task->stat();
    if (!stat.is_seen() || stat->start_time != process.start_time) task = nullptr;
  }
  Member& member =
      images_.member(image, process);  // last, because an exception must not leave a member without a record
  member.task = std::move(task);
  member.record = std::move(record);
  times_.note_new(proc_);
  return member;
}

// The record of other processes that share the task's memory; null if there are none.
std::shared_ptr<SealRecord> Newcomers::record_of_memory(const std::vector<Image*>& candidates,
                                                        const Process& own, pid_t task) {
  for (const Image* const image : candidates) {
    for (const auto& [process, member] : image->members) {
      if (member.task == nullptr || process == own || !proc_.share_mm(task, process.id)) continue;
      const auto stat =
          member.task->stat();  // still there after the comparison, so that was about this process
      if (!stat.is_seen()) continue;
      const Identified other{process, MmIdentity::of(*stat), stat->is_fork(), true};
      if (other.has_not_left(*image)) return member.record;
    }
  }
  return nullptr;
}

// The memory of the process can be read now, so it only belongs to the candidates.
void Newcomers::forget_guesses(const Process& process, const std::vector<Image*>& candidates) {
  for (Image* const image : images_.with_member(process.id)) {
    const Member* const guess = image->find(process);
    if (guess == nullptr || !guess->first_seen_hidden) continue;
    if (std::ranges::find(candidates, image) == candidates.end()) image->members.erase(process);
  }
}

// The memory of a member that was first seen hidden can be read now (through another thread if the first one
// has none). Others may share it and have sealed something since.
void Newcomers::note_memory_readable(const Identified& who, pid_t task,
                                     const std::vector<Image*>& candidates) {
  const auto shared = record_of_memory(candidates, who.process, task);
  for (Image* const image : candidates) {
    Member* const member = image->find(who.process);
    if (member == nullptr) continue;
    member->first_seen_hidden = false;
    if (shared == nullptr || member->record == shared) continue;
    shared->merge(*member->record);
    member->record = shared;
  }
  forget_guesses(who.process, candidates);
}

// The ID of a member that can't be held may belong to another process now. Its record stays the same object,
// because sharers may use it, and is about to get a seal.
Member& Newcomers::join_newcomer(Image& image, const Identified& who, pid_t task,
                                 const std::vector<Image*>& candidates, int generation) {
  // First, because the process may share its parent's memory.
  if (candidates.size() == 1 && who.memory.readable()) register_parent(image, who.process, generation);
  auto record = record_of_memory(candidates, who.process, task);
  if (record == nullptr) record = seals_of_newcomer(candidates, who);
  for (const Image* const one : candidates) {
    const Member* const known = one->find(who.process);
    if (known == nullptr || known->record == record) continue;
    known->record->merge(*record);
    record = known->record;
  }
  // It may be another process than the one that sealed, with the same ID and tick, and then lacks the
  // filters.
  record->disown(who.process);
  if (who.memory.readable()) {
    forget_guesses(who.process, candidates);
    return join(image, who.process, std::move(record));
  }
  // It joins every image that it may belong to, so that it is found when its memory can be read.
  for (Image* const one : candidates) join(*one, who.process, record).first_seen_hidden = true;
  return image.members.at(who.process);
}

void Newcomers::register_process(const Identified& who, const Image* image, int generation) {
  const std::vector<Image*> candidates = images_of(who);
  const auto its = image == nullptr ? candidates.begin() : std::ranges::find(candidates, image);
  if (its == candidates.end()) return;
  const bool is_registered =
      std::ranges::any_of(candidates, [&](const Image* one) { return held_member(*one, who) != nullptr; });
  if (!is_registered) (void)join_newcomer(**its, who, who.process.id, candidates, generation);
}

bool Newcomers::is_gone(const Member& member) {
  return member.task != nullptr && member.task->stat().is_gone();
}

std::vector<Process> Newcomers::members_gone(const Image& image) {
  constexpr std::size_t kMostLooks = 256;  // if there are more members, only a collection forgets some
  std::vector<Process> gone;
  if (image.members.size() > kMostLooks) return gone;
  for (const auto& [process, member] : image.members) {
    if (is_gone(member)) gone.push_back(process);
  }
  return gone;
}

// The children of a member that has ended are visible by now. But the IDs given since the last search are not
// enough to find them: an older ID may belong to a process that was not visible yet. So a member is only
// forgotten after all processes have been inspected.
void Newcomers::register_children(Image& image, const Caller& caller) {
  const std::vector<Process> gone =
      members_gone(image);  // first, because their children are visible after that
  const std::uint64_t start = proc_.now();
  const bool forgets = (!gone.empty() || !image.ended.empty()) && image.inspections.allows(start);
  const shim::ForkSample now = proc_.sample_forks();
  if (image.registered_at.last == 0 && !caller.forked && caller.process == image.creator)
    image.registered_at = fork_sample_at_birth_of(proc_, caller.process, now);
  if (!forgets && now.none_since(image.registered_at)) return;
  const bool few = now.few_since(image.registered_at, proc_.pid_max());
  const auto look_at = [&](bool all) {
    if (all) return identification_.everybody();
    return few ? identification_.born_since(image.registered_at)
               : ReadResult<std::vector<Identified>>::unknown();
  };
  bool all = forgets || !few;
  auto born = look_at(all);
  if (!born.is_seen()) born = look_at(all = !all);
  image.registered_at = now;
  if (forgets) image.inspections.spend(proc_.now() - start);
  if (!born.is_seen()) return;  // a process that is first seen later gets too many seals, not too few
  for (const Identified& who : *born) register_process(who, &image);
  if (!all) return;
  for (const Process& process : gone) {
    const Member* const member = image.find(process);  // it may be another process of the same tick now
    if (member != nullptr && is_gone(*member)) image.members.erase(process);
  }
  image.ended.clear();
}

}  // namespace libmseal::supervisor
