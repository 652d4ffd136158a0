// Many seals: one by one, and by mseal_ranges.
#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <vector>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/live/scenario.h"
#include "tests/live/sealed.h"

namespace libmseal::tests {
namespace {

// Until the kernel takes no more filters: what is sealed stays sealed, what is not is untouched.
void budget_ends_cleanly(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t least = std::stoul(arguments[0]);
  constexpr std::size_t kMost = 2000;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kMost * page, PROT_READ | PROT_WRITE);
  REQUIRE_OR_STOP(base != nullptr);
  std::size_t sealed = 0;
  while (sealed < kMost && ::mseal(base + 2 * sealed * page, page, 0) == 0) ++sealed;
  EXPECT(sealed >= least && sealed < kMost && errno == ENOMEM);
  EXPECT(::mseal(base + 2 * sealed * page, page, 0) == -1 && errno == ENOMEM);
  for (std::size_t index = 0; index < sealed; ++index) {
    EXPECT(Calls{Via::raw}.unmap(base + 2 * index * page, page) == -EPERM);
    EXPECT(Calls{Via::raw}.protect(base + (2 * index + 1) * page, page, PROT_READ) == 0);
  }
  EXPECT(Calls{Via::raw}.unmap(base + 2 * sealed * page, page) == 0);
}

// Every other page of some thousand, by a call each.
void seals_one_by_one(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t count = std::stoul(arguments[0]);
  const std::size_t page = page_size();
  char* const base = map_pages(2 * count);
  for (std::size_t index = 0; index < count; ++index) {
    REQUIRE_OR_STOP(::mseal(base + 2 * index * page, page, 0) == 0);
  }
  const Calls raw{Via::raw};
  for (std::size_t index = 0; index < count; ++index) {
    EXPECT(raw.unmap(base + 2 * index * page, page) == -EPERM);
    EXPECT(raw.protect(base + (2 * index + 1) * page, page, PROT_READ) == 0);
  }
}

std::vector<mseal_range> every_other_page(char* base, std::size_t count) {
  std::vector<mseal_range> ranges;
  for (std::size_t index = 0; index < count; ++index)
    ranges.push_back({base + 2 * index * page_size(), page_size()});
  return ranges;
}

// Every other page of some thousand.
void seals_in_batches(std::span<char*> arguments) {
  REQUIRE_OR_STOP(!arguments.empty());
  const std::size_t count = std::stoul(arguments[0]);
  const std::size_t page = page_size();
  char* const base = map_pages(2 * count);
  std::vector<mseal_range> ranges = every_other_page(base, count);
  std::reverse(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(count / 2));  // in no order
  EXPECT(::mseal_ranges(ranges.data(), count, 0) == 0);
  const Calls raw{Via::raw};
  for (std::size_t index = 0; index < count; ++index) {
    char* const sealed = base + 2 * index * page;
    EXPECT(raw.unmap(sealed, page) == -EPERM);
    EXPECT(raw.protect(sealed, page, PROT_READ) == -EPERM);
    EXPECT(raw.unmap(sealed + page, page) == 0);
  }
  EXPECT(raw.unmap(base, 2 * count * page) == -EPERM);
  EXPECT(::mseal_ranges(ranges.data(), count, 0) == 0);  // once more
}

void errors_of_batches(std::span<char*>) {
  const std::size_t page = page_size();
  char* const base = map_pages(8);
  EXPECT(::munmap(base + 5 * page, page) == 0);
  const auto seal_two = [&](mseal_range second, unsigned long flags = 0) {
    const mseal_range both[] = {{base, page}, second};
    return libc_value(::mseal_ranges(both, 2, flags));
  };
  EXPECT(::mseal_ranges(nullptr, 0, 0) == 0);
  EXPECT(libc_value(::mseal_ranges(nullptr, 1, 0)) == -EINVAL);
  const mseal_range one{base, page};
  EXPECT(libc_value(::mseal_ranges(&one, (std::size_t{1} << 60) + 1, 0)) == -EINVAL);  // no array is so long
  EXPECT(seal_two({base + 2 * page, page}, 1) == -EINVAL);
  EXPECT(seal_two({base + 2 * page + 1, page}) == -EINVAL);
  EXPECT(seal_two({base + 2 * page, ~0UL}) == -EINVAL);
  EXPECT(seal_two({base + 5 * page, page}) == -ENOMEM);
  EXPECT(seal_two({base + 4 * page, 2 * page}) == -ENOMEM);
  // and none of these sealed the first
  EXPECT(::mprotect(base, page, PROT_READ) == 0);
  EXPECT(seal_two({base + 2 * page, 0}) == 0);  // nothing of nothing
  EXPECT(::mprotect(base, page, PROT_READ) == -1 && errno == EPERM);
  EXPECT(seal_two({base, 2 * page}) == 0);  // overlapping
  EXPECT(::munmap(base + page, page) == -1 && errno == EPERM);
  EXPECT(::munmap(base + 2 * page, page) == 0);
}

// With most of the room taken, a batch that needs more than is left seals nothing.
void batch_past_the_budget(std::span<char*>) {
  constexpr std::size_t kCount = 8000;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kCount * page, PROT_READ | PROT_WRITE);
  std::vector<mseal_range> ranges = every_other_page(base, kCount);
  EXPECT(libc_value(::mseal_ranges(ranges.data(), kCount, 0)) == -ENOMEM);
  EXPECT(Calls{Via::raw}.protect(base, 2 * kCount * page, PROT_READ) == 0);
  EXPECT(::mseal_ranges(ranges.data(), 10, 0) == 0);  // there is room for some
  EXPECT(Calls{Via::raw}.unmap(base, page) == -EPERM);
  EXPECT(Calls{Via::raw}.unmap(base + 20 * page, page) == 0);
}

// As many ranges as one call takes, more than one look at the mappings finds.
void large_batch(std::span<char*>) {
  constexpr std::size_t kCount = 16384;
  const std::size_t page = page_size();
  char* const base = map_far_away(2 * kCount * page, PROT_READ | PROT_WRITE);
  std::vector<mseal_range> ranges = every_other_page(base, kCount);
  EXPECT(Calls{Via::raw}.unmap(ranges.back().addr, page) == 0);
  EXPECT(libc_value(::mseal_ranges(ranges.data(), kCount, 0)) == -ENOMEM);
  EXPECT(Calls{Via::raw}.protect(base, page, PROT_READ) == 0);  // nothing is sealed
  std::ranges::reverse(ranges);                                 // the order does not matter
  EXPECT(::mseal_ranges(&ranges[1], kCount - 1, 0) == 0);
  EXPECT(Calls{Via::raw}.unmap(ranges[1].addr, page) == -EPERM);
}

// Of ranges that touch, any number is one range, whatever the order.
void batch_of_neighbours(std::span<char*>) {
  constexpr std::size_t kCount = 40'000;
  const std::size_t page = page_size();
  char* const base = map_far_away(kCount * page, PROT_READ | PROT_WRITE);
  std::vector<mseal_range> ranges;
  for (std::size_t index = kCount; index > 0; --index) ranges.push_back({base + (index - 1) * page, page});
  EXPECT(::mseal_ranges(ranges.data(), kCount, 0) == 0);
  EXPECT(::mseal_query(base, kCount * page) == MSEAL_STATE_FULLY);
  EXPECT(Calls{Via::raw}.unmap(base + (kCount / 2) * page, page) == -EPERM);
}

// The same where the library keeps the only list: two batches, of which both do not fit.
void second_batch_past_the_room(std::span<char*>) {
  constexpr std::size_t kCount = 6000;
  const std::size_t page = page_size();
  char* const base = map_far_away(4 * kCount * page, PROT_READ | PROT_WRITE);
  REQUIRE_OR_STOP(base != nullptr);
  std::vector<mseal_range> ranges = every_other_page(base, 2 * kCount);
  EXPECT(::mseal_ranges(ranges.data(), kCount, 0) == 0);
  EXPECT(libc_value(::mseal_ranges(&ranges[kCount], kCount, 0)) == -ENOMEM);
  EXPECT(::mprotect(ranges[kCount].addr, 2 * kCount * page, PROT_READ) == 0);
  EXPECT(::mprotect(ranges[kCount - 1].addr, page, PROT_READ) == -1 && errno == EPERM);
}

// A range of which some parts are sealed already: they merge with their neighbours.
void seals_around_sealed_pages(std::span<char*>) {
  constexpr std::size_t kPages = 32;
  char* const base = map_pages(kPages);
  for (const std::size_t index : {1, 4, 5, 9, 13, 14, 15, 22, 31})
    EXPECT(::mseal(base + index * page_size(), page_size(), 0) == 0);
  EXPECT(::mseal(base, kPages * page_size(), 0) == 0);
  for (std::size_t index = 0; index < kPages; ++index) {
    EXPECT(Calls{Via::raw}.unmap(base + index * page_size(), page_size()) == -EPERM);
    EXPECT(Calls{Via::raw}.protect(base + index * page_size(), page_size(), PROT_NONE) == -EPERM);
  }
}

constexpr Scenario kScenarios[] = {
    {"seals_around_sealed_pages", seals_around_sealed_pages},
    {"budget_ends_cleanly", budget_ends_cleanly},
    {"seals_one_by_one", seals_one_by_one},
    {"seals_in_batches", seals_in_batches},
    {"errors_of_batches", errors_of_batches},
    {"batch_past_the_budget", batch_past_the_budget},
    {"second_batch_past_the_room", second_batch_past_the_room},
    {"large_batch", large_batch},
    {"batch_of_neighbours", batch_of_neighbours},
};

}  // namespace

std::span<const Scenario> batch_scenarios() {
  return kScenarios;
}

}  // namespace libmseal::tests
