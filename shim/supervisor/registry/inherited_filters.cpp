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
    for (const auto& [process, member] : image.members) visit(*member.record, one);
    for (const auto& ended : image.ended) visit(*ended, one);
  }

 private:
  History::Seen seen_;
};

void append(std::vector<Fence>& fences, std::span<const Fence> more) {
  fences.insert(fences.end(), more.begin(), more.end());
}

Fence fence_of(const SealEntry& entry) {
  return {entry.seal.range, entry.filters};
}

}  // namespace

std::vector<Fence> InheritedFilters::of(const Caller& caller) const {
  auto known = of_member(caller.process);
  std::vector<Fence> fences = known ? std::move(*known) : of_stranger(caller);
  join_touching(fences);
  return fences;
}

// From its record before it called execve. Nothing if that is not known.
std::optional<std::vector<Fence>> InheritedFilters::of_member(const Process& process) const {
  std::optional<std::vector<Fence>> fences;
  FilteredEntries filtered;
  for (const Image& image : images_) {
    const auto found = image.members.find(process);
    if (found == image.members.end() || found->second.task == nullptr) continue;
    if (!fences) fences.emplace();
    filtered.visit(*found->second.record,
                   [&](const SealEntry& entry) { fences->push_back(fence_of(entry)); });
    append(*fences, image.fences);
  }
  return fences;
}

std::vector<Fence> InheritedFilters::of_stranger(const Caller& caller) const {
  std::vector<Fence> fences;
  // It may have installed some of its filters itself.
  const Birth birth{~0ULL, birth_of(proc_, caller.process, caller.filters).filters};
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

void InheritedFilters::retire(const Image& image) {
  ++forgotten_;
  FilteredEntries().visit(image, [&](const SealEntry& entry) { retire(fence_of(entry)); });
  for (const Fence& fence : image.fences) retire(fence);
  // Drops those that were not seen for the longest time: a program that is placed on one of them, which is
  // rare, then fails there.
  constexpr std::size_t kMost = shim::kMostFences / 2;
  if (retired_.size() <= kMost) return;
  std::vector<std::uint64_t> times;
  for (const Retired& one : retired_) times.push_back(one.seen);
  const auto half = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, half);
  std::erase_if(retired_, [&](const Retired& one) { return one.seen < *half; });
  if (retired_.size() > kMost) retired_.resize(kMost);  // many were seen at the same time
}

void InheritedFilters::retire(const Fence& fence) {
  const Retired one{fence, forgotten_};
  const auto at = std::ranges::lower_bound(retired_, one.key(), {}, &Retired::key);
  if (at != retired_.end() && at->key() == one.key()) {
    at->seen = forgotten_;
  } else {
    retired_.insert(at, one);
  }
}

void InheritedFilters::count_fences_again() {
  std::vector<Fence> fences;
  for (const Image& image : images_) append(fences, image.fences);
  join_touching(fences);
  fences_ = std::move(fences);
}

}  // namespace libmseal::supervisor
