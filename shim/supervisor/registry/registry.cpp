#include "shim/supervisor/registry/registry.h"

#include <algorithm>
#include <cerrno>

#include "shim/supervisor/registry/birth_times.h"

namespace libmseal::supervisor {

using policy::Range;
using policy::Seal;

Registry::Registry(Proc& proc, const Range& sealed_area, const policy::TreeOptions& tree_options)
    : proc_(proc), sealed_area_(sealed_area), tree_options_(tree_options) {
  all_seals_.set(newcomers_.seals_of_everybody()->seals());
}

bool is_only_thread(Proc& proc, const Caller& caller) {
  if (!caller.only_thread) return false;
  const auto stat = proc.stat(caller.process.id);
  return stat.is_seen() && stat->threads == 1;
}

// ---- identifying callers ----

Caller Registry::look_up(pid_t task) {
  Caller caller;
  caller.task = task;
  const auto identified = identification_.identify(task);
  if (!identified.is_seen()) {
    caller.record = newcomers_.seals_of_everybody();
    return caller;
  }
  Identified who = *identified;
  who.filtered = true;  // or it would not be notified
  caller.process = who.process;
  caller.identity = who.memory;
  caller.forked = who.forked;
  caller.filters = who.filters;
  caller.only_thread = who.only_thread && who.process.id == task;
  caller.certain = who.seen_by != nullptr;
  const std::vector<Image*> candidates = newcomers_.images_of(who);
  if (candidates.empty()) {
    caller.standing = Caller::Standing::foreign;
    return caller;
  }
  caller.standing = Caller::Standing::member;
  for (Image* const image : candidates) {
    if (const Member* const member = newcomers_.held_member(*image, who)) {
      if (member->first_seen_hidden && who.memory.readable())
        newcomers_.note_memory_readable(who, task, candidates);
      caller.image = image;
      caller.record = member->record;
      caller.hidden =
          !who.memory.readable() && (member->first_seen_hidden || may_have_left(who, *image, *member));
      return caller;
    }
  }
  caller.image = candidates.front();
  caller.record = newcomers_.join_newcomer(*caller.image, who, task, candidates).record;
  caller.hidden = !who.memory.readable();
  return caller;
}

// For a process that called execve and whose memory can't be read: whether it may have called execve again.
// The held memory shows that, unless it could not be held or another process keeps it alive.
bool Registry::may_have_left(const Identified& who, const Image& image, const Member& member) const {
  if (who.forked) return false;
  const auto& memory = who.process == image.creator ? image.memory : member.memory;
  return memory == nullptr || processes_with(*member.record).size() > 1;
}

void Registry::note_lineage(pid_t task, bool makes_sibling) {
  const auto who = identification_.identify(task);
  if (who.is_gone()) return;  // it makes no call any more
  if (!who.is_seen()) return lineage_.note_unknown();
  makes_sibling ? lineage_.note_sibling_of(who->process) : lineage_.note_adopter(who->process);
}

// ---- images ----

void Registry::retire(Image& image, const std::shared_ptr<SealRecord>& record) {
  if (std::ranges::find(image.ended, record) == image.ended.end()) image.ended.push_back(record);
}

void Registry::make_image(Caller& caller, std::unique_ptr<TableFile> table) {
  std::vector<Fence> fences = inherited_filters_.of(caller);
  table->add_fences(fences);
  inherited_filters_.add_fences(fences);
  table->set_tree(sealed_area_, tree_options_);

  Image image;
  image.identity = caller.identity;
  image.creator = caller.process;
  image.memory = hold_memory(caller.process, caller);
  image.table = std::move(table);
  image.fences = std::move(fences);
  Image& added = images_.add(std::move(image));
  Member& member = newcomers_.join(added, caller.process, newcomers_.fresh_record());
  // It has called execve: its old record only applies to its earlier children.
  for (Image* const other : images_.with_member(caller.process.id)) {
    const Member* const former = other->find(caller.process);
    if (other == &added || former == nullptr) continue;
    retire(*other, former->record);
    other->members.erase(caller.process);
  }
  caller.standing = Caller::Standing::member;
  caller.image = &added;
  caller.record = member.record;
  note_request(caller);
}

// ---- sealing ----

void Registry::note_request(const Caller& caller) {
  const std::uint32_t filters = caller.filters != ~0U ? caller.filters : filters_of(proc_, caller.task);
  caller.record->filters.at_request = {caller.process, filters};
}

// Whether a process with this many filters may have installed one since it asked. Its claim alone is not
// enough: children of other processes would get a seal that does not exist.
bool Registry::may_have_filtered(const Caller& caller, std::uint32_t filters) {
  const FilterCount& before = caller.record->filters.at_request;
  if (before.process != caller.process) return false;
  return filters == ~0U || before.filters == ~0U || filters > before.filters;
}

void Registry::begin_sealing(const Caller& caller) {
  caller.record->requested = proc_.now();
  newcomers_.register_children(*caller.image, caller);
}

// Whether the process, which shares memory with one of the tree, has the tree's first filter: the process
// that installs it has, and its later descendants. False if not sure.
bool Registry::has_first_filter(const Process& process, pid_t task) const {
  const auto status = proc_.status(task);
  return status.is_seen() && status->filtered && (!early_process_ || process == *early_process_);
}

bool Registry::has_live_member() const {
  const auto lives = [](const auto& entry) {
    const auto& task = entry.second.task;
    if (task == nullptr) return true;  // not known
    const auto stat = task->stat();
    return stat.is_seen() ? !stat->has_ended() || stat->threads > 1 : !stat.is_gone();
  };
  return std::ranges::any_of(images_,
                             [&](const Image& image) { return std::ranges::any_of(image.members, lives); });
}

shim::Sharing Registry::register_sharers(const Caller& caller) {
  Alone& alone = caller.record->alone;
  if (alone.process != caller.process) alone = {caller.process, {}, false};
  shim::ForkSample since = alone.since;
  const shim::ForkSample now = proc_.sample_forks_since(since);
  // A shortcut: no process was created.
  if (now.count != 0 && now.count == since.count) {
    alone.still = true;
    return shim::Sharing::alone;
  }
  if (since.last == 0 && !caller.forked) since = fork_sample_at_birth_of(proc_, caller.process, now);
  // If the caller is the only thread, it was seen outside of clone (sharers.h).
  const bool makes_none =
      is_only_thread(proc_, caller) && proc_.whereabouts(caller.task).is(policy::Whereabouts::elsewhere);
  std::vector<pid_t> found;
  auto sharing = proc_.sharers(caller.process.id, caller.task, since, now, first_, found);
  alone.still = sharing == shim::Sharing::alone;
  if (sharing == shim::Sharing::alone && makes_none) caller.note_alone(now);
  for (const pid_t sharer : found) {
    const auto who = identification_.identify(sharer);
    if (who.is_gone()) continue;
    if (!who.is_seen() || !has_first_filter(who->process, sharer)) sharing = shim::Sharing::unknown;
    if (who.is_seen()) let_share(caller, *who);
  }
  return sharing;
}

// Gives the process, which shares the caller's memory, its record.
void Registry::let_share(const Caller& caller, const Identified& who) {
  bool held = false;
  // It may have been registered as a member of another image with the same addresses.
  for (Image* const image : images_.with_member(who.process.id)) {
    Member* const member = image->find(who.process);
    if (member == nullptr) continue;
    const bool other = who.memory.readable() && who.memory != image->identity;
    if (other && !member->first_seen_hidden) {  // it has called execve since
      retire(*image, member->record);
      image->members.erase(who.process);
      continue;
    }
    if (member->record != caller.record) caller.record->merge(*member->record);
    member->record = caller.record;
    held = held || (image == caller.image && newcomers_.held_member(*image, who) != nullptr);
  }
  if (!held) (void)newcomers_.join(*caller.image, who.process, caller.record);
  if (!who.forked) note_executed(*caller.image, who.process, caller);
}

std::vector<pid_t> Registry::processes_with(const SealRecord& record) const {
  std::vector<pid_t> found;
  for (const Image& image : images_) {
    for (const auto& [process, member] : image.members) {
      if (member.record.get() == &record) found.push_back(process.id);
    }
  }
  return found;
}

// The process called execve to create the image that the caller, which shares its memory, seals in. So it
// belongs to the image as long as that memory exists. A creator may have another memory now than at first.
void Registry::note_executed(Image& image, const Process& process, const Caller& caller) {
  auto memory = hold_memory(process, caller);
  // If the memory can't be read any more, the memory held before still shows whether it exists.
  const bool hidden = memory == nullptr && !caller.identity.readable();
  const auto hold = [&](std::unique_ptr<HeldMemory>& held) {
    if (!hidden || held == nullptr || held->gone()) held = std::move(memory);
  };
  Member* const known = image.find(process);
  Member& member = known != nullptr ? *known : newcomers_.join(image, process, caller.record);
  if (process == image.creator) {
    hold(image.memory);
    return;
  }
  member.executed_it = true;
  hold(member.memory);
}

// Holds the memory of the caller, which the process shares. Null if that is impossible: then it counts as
// existing.
//
// If possible, the memory is opened through the process itself: once the task through which it was opened has
// ended, nothing can be read. But the first thread may have ended already.
std::unique_ptr<HeldMemory> Registry::hold_memory(const Process& process, const Caller& caller) {
  auto memory = proc_.hold_memory(process.id);
  const bool own =
      process == caller.process || (memory != nullptr && proc_.share_mm(process.id, caller.task));
  if (memory != nullptr && own && !memory->gone()) return memory;
  memory = proc_.hold_memory(caller.task);
  if (memory != nullptr && memory->gone()) memory = nullptr;
  return memory;
}

long Registry::add(const Caller& caller, std::span<const Seal> seals, bool filtered, Maker maker) {
  SealRecord& record = *caller.record;
  FilterCount& reported = record.filters.at_report;
  const bool starts = record.has_only_joined();
  if (!caller.forked && !starts) note_executed(*caller.image, caller.process, caller);
  if (filtered && (!starts || reported.at_least() == 0)) {
    const std::uint32_t filters = filters_of(proc_, caller.task);
    if (maker == Maker::caller && !may_have_filtered(caller, filters)) return -EPERM;
    reported = {caller.process, filters};
  }
  SealEntry entry{{},
                  filtered,
                  filtered ? reported.at_least() : 0,
                  starts ? proc_.now() : record.requested,
                  caller.process};
  if (maker == Maker::first_filter) entry.by = {};
  for (const Seal& seal : seals) {
    entry.seal = seal;
    if (record.has(entry)) continue;
    // First, because all_seals_ must contain everything that is in a record.
    all_seals_.add(seal);
    if (!record.add(entry)) return -ENOMEM;
    caller.image->table->add(seal);
  }
  return 0;
}

void Registry::note_join(const Caller& caller) {
  note_request(caller);
  if (!caller.forked) note_executed(*caller.image, caller.process, caller);
}

}  // namespace libmseal::supervisor
