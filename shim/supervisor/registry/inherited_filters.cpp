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
  void visit(const Record& record, Visit visit) {
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
  for (const SealEntry& entry : retired_) take(entry);
  std::ranges::copy_if(fences_, std::back_inserter(fences),
                       [&](const Fence& fence) { return fence.filters <= birth.filters; });
  return fences;
}

void InheritedFilters::add_fences(std::span<const Fence> fences) {
  append(fences_, fences);
  join_touching(fences_);
}

void InheritedFilters::retire(const Image& image) {
  FilteredEntries().visit(image, [&](const SealEntry& entry) { retired_.push_back(entry); });
  for (const Fence& fence : image.fences) retired_.push_back({{fence.range}, true, fence.filters, 0, {}});
  // Drops the oldest: a program that is placed on one of them, which is rare, then fails there.
  constexpr std::size_t kMost = shim::kMostFences / 2;
  if (retired_.size() <= kMost) return;
  retired_.erase(retired_.begin(), retired_.end() - static_cast<std::ptrdiff_t>(kMost));
}

void InheritedFilters::count_fences_again() {
  std::vector<Fence> fences;
  for (const Image& image : images_) append(fences, image.fences);
  join_touching(fences);
  fences_ = std::move(fences);
}

}  // namespace libmseal::supervisor
