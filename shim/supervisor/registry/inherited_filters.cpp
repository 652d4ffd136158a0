#include "shim/supervisor/registry/inherited_filters.h"

#include <algorithm>
#include <iterator>

#include "shim/supervisor/registry/birth_times.h"

namespace libmseal::supervisor {

namespace {

// The entries of records that filters enforce.
class FilteredEntries {
 public:
  template <class Visit>
  void visit(const SealRecord& record, Visit visit) {
    record.entries().for_each_unseen(seen_, [&](const SealEntry& entry) {
      if (entry.filtered) visit(entry);
    });
  }
  template <class Visit>
  void visit(const Image& image, Visit one) {
    image.for_each_record([&](const SealRecord& record) { visit(record, one); });
  }

 private:
  History::Seen seen_;
};

void append(std::vector<Fence>& fences, std::span<const Fence> more) {
  fences.insert(fences.end(), more.begin(), more.end());
}

// As many as a table has room for: the highest, because libraries and most memory lie there.
void keep_most(std::vector<Fence>& fences) {
  if (fences.size() > shim::kMostFences)
    fences.erase(fences.begin(), fences.end() - static_cast<std::ptrdiff_t>(shim::kMostFences));
}

Fence fence_of(const SealEntry& entry) {
  return {entry.seal.range, entry.filters};
}

}  // namespace

std::vector<Fence> InheritedFilters::of(const Caller& caller) const {
  auto known = of_process(caller.process);
  if (!known) known = of_ancestor(caller);
  std::vector<Fence> fences = known ? std::move(*known) : of_stranger(caller);
  join_touching(fences);
  keep_most(fences);
  return fences;
}

// Nothing if the process was never a member: then it has only filters that it has inherited.
std::optional<std::vector<Fence>> InheritedFilters::of_process(const Process& process) const {
  std::optional<std::vector<Fence>> fences;
  if (const auto former = former_.find(process); former != former_.end()) fences = former->second;
  FilteredEntries filtered;
  for (const Image* const image : images_.with_member(process.id)) {
    const Member* const member = image->find(process);
    if (member == nullptr) continue;
    if (!fences) fences.emplace();
    filtered.visit(*member->record, [&](const SealEntry& entry) { fences->push_back(fence_of(entry)); });
    append(*fences, image->fences);
  }
  return fences;
}

// Those of the nearest ancestor that was ever a member. It still has every filter that the caller has
// inherited from it. Nothing if it is not certain which process that ancestor is.
std::optional<std::vector<Fence>> InheritedFilters::of_ancestor(const Caller& caller) const {
  constexpr int kMostGenerations = 64;
  std::optional<Process> ancestor = caller.process;
  for (int generation = 0; generation < kMostGenerations; ++generation) {
    ancestor = lineage_.parent_of(*ancestor);
    if (!ancestor) break;
    auto fences = of_process(*ancestor);
    if (!fences) continue;
    const std::uint32_t filters = birth_of(proc_, caller.process, caller.filters).filters;
    std::erase_if(*fences, [&](const Fence& fence) { return fence.filters > filters; });
    return fences;
  }
  return std::nullopt;
}

// Those of all processes, except fences that the caller can't have, given its age and its number of filters.
std::vector<Fence> InheritedFilters::of_stranger(const Caller& caller) const {
  std::vector<Fence> fences;
  const Birth birth = birth_of(proc_, caller.process, caller.filters);
  const auto take = [&](const SealEntry& entry) {
    if (birth.may_have(entry)) fences.push_back(fence_of(entry));
  };
  FilteredEntries filtered;
  for (const Image& image : images_) filtered.visit(image, take);
  for (const Retired& one : retired_) {
    if (one.fence.filters > birth.filters) break;
    fences.push_back(one.fence);
  }
  std::ranges::copy_if(fences_, std::back_inserter(fences),
                       [&](const Fence& fence) { return fence.filters <= birth.filters; });
  return fences;
}

void InheritedFilters::add_fences(std::span<const Fence> fences) {
  append(fences_, fences);
  join_touching(fences_);
}

void InheritedFilters::retire(const Image& image, const std::set<Process>& alive) {
  ++forgotten_;
  for (const auto& [process, member] : image.members) {
    if (!alive.contains(process)) continue;
    std::vector<Fence>& fences = former_[process];
    FilteredEntries().visit(*member.record,
                            [&](const SealEntry& entry) { fences.push_back(fence_of(entry)); });
    append(fences, image.fences);
    join_touching(fences);
    keep_most(fences);
  }
  FilteredEntries().visit(image, [&](const SealEntry& entry) {
    retired_.push_back({fence_of(entry), forgotten_});
  });
  // These ranges may be guesses, so they do not renew the age of a retired range.
  for (const Fence& fence : image.fences) retired_.push_back({fence, 0});
}

// Drops the retired ranges that were not seen for the longest time. Only programs whose parent has ended need
// them, usually shortly afterwards, and each program tries all of them. Memory that is placed where a fence
// is missing, which is rare, can't be changed.
void InheritedFilters::limit_retired() {
  constexpr std::size_t kMost = 1024;  // of some hundred images
  std::ranges::sort(retired_, [](const Retired& one, const Retired& other) {
    return one.key() != other.key() ? one.key() < other.key() : one.seen > other.seen;
  });
  const auto is_same = [](const Retired& one, const Retired& other) { return one.key() == other.key(); };
  retired_.erase(std::unique(retired_.begin(), retired_.end(), is_same), retired_.end());
  if (retired_.size() <= kMost) return;
  std::vector<std::uint64_t> times;
  for (const Retired& one : retired_) times.push_back(one.seen);
  const auto oldest = times.end() - static_cast<std::ptrdiff_t>(kMost);
  std::ranges::nth_element(times, oldest);
  std::erase_if(retired_, [&](const Retired& one) { return one.seen < *oldest; });
  for (auto one = retired_.end(); one != retired_.begin() && retired_.size() > kMost;) {
    --one;
    if (one->seen == *oldest) one = retired_.erase(one);
  }
}

void InheritedFilters::forget_retired() {
  retired_.clear();
  former_.clear();
}

void InheritedFilters::forget_ended(const std::set<Process>& alive) {
  limit_retired();
  std::erase_if(former_, [&](const auto& former) { return !alive.contains(former.first); });
  std::vector<Fence> fences;
  for (const Image& image : images_) append(fences, image.fences);
  join_touching(fences);
  fences_ = std::move(fences);
}

}  // namespace libmseal::supervisor
