// What records share: a change of one is not seen in another, and nothing gets lost or comes twice.
#include "shim/supervisor/registry/seal_record.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using policy::Range;
using policy::Seal;
using supervisor::Birth;
using supervisor::Process;
using supervisor::SealEntry;
using supervisor::SealRecord;
using Times = std::multiset<std::uint64_t>;

Range page(std::uint64_t number) {
  return Range::of(0x1000'0000 + number * 0x2000, 0x1000);
}

SealEntry entry(std::uint64_t number, Process by = {100, 1}) {
  return {{page(number)}, false, 0, number, by};
}

SealEntry filtered(std::uint64_t number, std::uint32_t filters) {
  return {{page(number)}, true, filters, number, {100, 1}};
}

// The entries are told apart by when they were made.
Times times(const SealRecord& record) {
  Times found;
  record.entries().for_each([&](const SealEntry& one) { found.insert(one.made); });
  return found;
}

bool seals(const SealRecord& record, std::uint64_t number) {
  return policy::coverage(record.seals(), page(number)) == policy::Coverage::fully;
}

SealRecord with(std::initializer_list<std::uint64_t> numbers) {
  SealRecord record;
  for (const std::uint64_t number : numbers) REQUIRE(record.add(entry(number)));
  return record;
}

void inherit(SealRecord& record, std::initializer_list<SealRecord*> others, const Birth& birth = {}) {
  record.inherit(std::vector<SealRecord*>(others), birth);
}

bool share_seals(const SealRecord& one, const SealRecord& other) {
  return one.seals().data() == other.seals().data();
}

TEST_CASE("a child and its parent have one list of seals until one of them seals") {
  SealRecord parent = with({1, 2});
  SealRecord child;
  inherit(child, {&parent});
  SealRecord second;
  inherit(second, {&child, &parent});
  CHECK(share_seals(child, parent));
  CHECK(share_seals(second, parent));
  const bool is_child = GENERATE(false, true);
  REQUIRE((is_child ? child : parent).add(entry(3)));
  CHECK_FALSE(share_seals(child, parent));
  CHECK(times(parent) == (is_child ? Times{1, 2} : Times{1, 2, 3}));
  CHECK(times(child) == (is_child ? Times{1, 2, 3} : Times{1, 2}));
  CHECK(times(second) == Times{1, 2});
  CHECK(seals(parent, 3) == !is_child);
  CHECK(seals(child, 3) == is_child);
  CHECK_FALSE(seals(second, 3));
}

TEST_CASE("what is dropped by one, or sealed up, or another's, stays as it is with those that share it") {
  SealRecord parent = with({1, 2});
  SealRecord child;
  inherit(child, {&parent});
  const auto of_first = [](const SealEntry& one) { return one.by == Process{100, 1}; };
  SECTION("dropped") {
    child.drop(page(1));
    CHECK(times(child) == Times{2});
    CHECK_FALSE(seals(child, 1));
  }
  SECTION("another's") {
    child.disown({100, 1});
    CHECK_FALSE(child.entries().any(of_first));
    CHECK(seals(child, 1));
  }
  SECTION("room for more") {
    REQUIRE(child.make_room(1000));
  }
  SECTION("gone with the parent") {
    SealRecord other = with({5});
    parent = other;
    CHECK(times(child) == Times{1, 2});
    CHECK(seals(child, 1));
    return;
  }
  CHECK(times(parent) == Times{1, 2});
  CHECK(parent.entries().any(of_first));
  CHECK((seals(parent, 1) && seals(parent, 2)));
}

TEST_CASE("what does not fit is sealed in one, and in that record alone") {
  SealRecord parent;
  for (std::uint64_t number = 0; parent.make_room(1); ++number) REQUIRE(parent.add(entry(number)));
  SealRecord other = with({200'000, 300'000, 400'000, 500'000});
  SealRecord child;
  inherit(child, {&parent, &other});
  CHECK(child.entries().size() < 10);
  for (const std::uint64_t number : {1, 60'000, 200'000, 500'000}) CHECK(seals(child, number));
  CHECK(parent.entries().size() > 60'000);
  CHECK_FALSE(seals(parent, 200'000));
  CHECK(times(other).size() == 4);
}

TEST_CASE("a union has each seal once, however it is shared") {
  SealRecord first = with({1, 2});
  SealRecord second;
  inherit(second, {&first});
  SealRecord third;
  inherit(third, {&first});
  REQUIRE(first.add(entry(3)));
  REQUIRE(second.add(entry(4)));
  REQUIRE(third.add(entry(5)));
  for (int generation = 0; generation < 3; ++generation) {
    SealRecord child;
    inherit(child, {&second, &first, &third});
    CHECK(times(child) == Times{1, 2, 3, 4, 5});
    second = child;
  }
  second.merge(first);
  CHECK(times(second) == Times{1, 2, 3, 4, 5});
  third.merge(first);
  CHECK(times(third) == Times{1, 2, 3, 5});
  CHECK(times(first) == Times{1, 2, 3});
}

TEST_CASE("of what is shared a child has what its birth allows") {
  SealRecord parent = with({1, 2});
  SealRecord older;
  inherit(older, {&parent});  // so there is a layer of it
  REQUIRE(parent.add(filtered(3, 7)));
  SealRecord middle;
  inherit(middle, {&parent});
  REQUIRE(parent.add(entry(4)));
  const auto child_of = [&](const Birth& birth) {
    SealRecord child;
    inherit(child, {&parent, &middle}, birth);
    for (std::uint64_t number = 1; number < 5; ++number)
      CHECK(seals(child, number) == times(child).contains(number));
    return times(child);
  };
  CHECK(child_of({}) == Times{1, 2, 3, 4});
  CHECK(child_of({3, 7}) == Times{1, 2, 3});
  CHECK(child_of({4, 6}) == Times{1, 2, 4});
  CHECK(child_of({2, 9}) == Times{1, 2});
  CHECK(child_of({1, 9}) == Times{1});
  CHECK(child_of({0, 9}) == Times{});
}

TEST_CASE("a parent that has forked after each of its seals goes as it came") {
  SealRecord heir;
  {
    SealRecord parent;
    for (std::uint64_t number = 0; number < 60'000; ++number) {
      REQUIRE(parent.add(entry(number)));
      SealRecord child;
      inherit(child, {&parent});
      CHECK(share_seals(child, parent));
    }
    inherit(heir, {&parent});
  }
  CHECK(heir.entries().size() == 60'000);
}

// Against records that share nothing.
TEST_CASE("records that share are as those that do not") {
  struct Both {
    SealRecord record;
    std::map<std::uint64_t, SealEntry> plain{};  // by when they were made
  };
  std::mt19937 random(1);
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  std::vector<Both> all(6);
  std::uint64_t now = 0;
  for (int step = 0; step < 2'000; ++step) {
    Both& one = all[below(all.size())];
    const auto filters = static_cast<std::uint32_t>(below(4));
    switch (below(12)) {
      case 0:
      case 1: {  // it is another, with the seals of some
        Both born;
        const Birth birth{below(4) == 0 ? now - below(20) : ~0ULL, filters + 2};
        std::vector<SealRecord*> others;
        for (Both& other : all) {
          if (below(2) == 0) continue;
          others.push_back(&other.record);
          std::ranges::copy_if(other.plain, std::inserter(born.plain, born.plain.end()),
                               [&](const auto& had) { return birth.may_have(had.second); });
        }
        born.record.inherit(others, birth);
        one = std::move(born);
        break;
      }
      case 2: {
        Both& other = all[below(all.size())];
        if (&other == &one) break;
        one.record.merge(other.record);
        one.plain.insert(other.plain.begin(), other.plain.end());
        break;
      }
      case 3: {
        one.record.disown({static_cast<pid_t>(below(5)), 1});
        break;
      }
      case 4:
        one = Both{};
        break;
      default: {
        const Seal seal{page(below(40)), below(2) == 0};
        const SealEntry made{seal, below(2) == 0, filters, ++now, {static_cast<pid_t>(below(5)), 1}};
        REQUIRE(one.record.add(made));
        one.plain.emplace(now, made);
      }
    }
    for (const Both& each : all) {
      Times plain;
      std::vector<Seal> sealed;
      for (const auto& [made, entry] : each.plain) {
        plain.insert(made);
        REQUIRE(policy::add_seal(sealed, entry.seal, shim::kMostSeals));
      }
      REQUIRE(times(each.record) == plain);
      REQUIRE(std::ranges::equal(each.record.seals(), sealed));
    }
  }
}

}  // namespace
}  // namespace libmseal::tests
