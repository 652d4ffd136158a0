#include "shim/supervisor/registry/inherited_filters.h"

#include "shim/supervisor/registry/birth_times.h"
#include "shim/supervisor/registry/ranges.h"

namespace libmseal::supervisor {

using policy::Range;

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

void append(std::vector<Range>& ranges, std::span<const Range> more) {
  ranges.insert(ranges.end(), more.begin(), more.end());
}

}  // namespace

std::vector<Range> InheritedFilters::of(const Caller& caller) const {
  auto known = of_member(caller.process);
  std::vector<Range> ranges = known ? std::move(*known) : of_stranger(caller);
  join_touching(ranges);
  return ranges;
}

// From its record before it called execve. Nothing if that is not known.
std::optional<std::vector<Range>> InheritedFilters::of_member(const Process& process) const {
  std::optional<std::vector<Range>> ranges;
  FilteredEntries filtered;
  for (const Image& image : images_) {
    const auto found = image.members.find(process);
    if (found == image.members.end() || found->second.task == nullptr) continue;
    if (!ranges) ranges.emplace();
    filtered.visit(*found->second.record,
                   [&](const SealEntry& entry) { ranges->push_back(entry.seal.range); });
    append(*ranges, image.table->fences());
  }
  return ranges;
}

std::vector<Range> InheritedFilters::of_stranger(const Caller& caller) const {
  std::vector<Range> ranges;
  // It may have installed some of its filters itself.
  const Birth birth{~0ULL, birth_of(proc_, caller.process, caller.filters).filters};
  const auto take = [&](const SealEntry& entry) {
    if (birth.may_have(entry)) ranges.push_back(entry.seal.range);
  };
  FilteredEntries filtered;
  for (const Image& image : images_) filtered.visit(image, take);
  for (const SealEntry& entry : retired_) take(entry);
  append(ranges, fences_);
  return ranges;
}

void InheritedFilters::add_fences(std::span<const Range> fences) {
  append(fences_, fences);
  join_touching(fences_);
}

void InheritedFilters::retire(const Image& image) {
  FilteredEntries().visit(image, [&](const SealEntry& entry) { retired_.push_back(entry); });
  for (const Range& fence : image.table->fences()) retired_.push_back({{fence}, true, 0, 0, {}});
  // Drops the oldest: a program that is placed on one of them, which is rare, then fails there.
  constexpr std::size_t kMost = shim::kMostFences / 2;
  if (retired_.size() <= kMost) return;
  retired_.erase(retired_.begin(), retired_.end() - static_cast<std::ptrdiff_t>(kMost));
}

void InheritedFilters::count_fences_again() {
  std::vector<Range> fences;
  for (const Image& image : images_) append(fences, image.table->fences());
  join_touching(fences);
  fences_ = std::move(fences);
}

}  // namespace libmseal::supervisor
