#include "policy/rules/seal.h"

#include <map>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "policy/rules/fixed_vector.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("types add up, and what takes no more of them says so") {
  std::vector<Seal> seals;
  const auto seal = [&](const Range& range, SealTypes types) {
    REQUIRE(add_seal(seals, Seal{range, false, false, types}, 64));
  };
  seal({0x1000, 0x4000}, kBaseType);
  CHECK(how_sealed(seals, {0x1000, 0x4000}).types == kBaseType);
  seal({0x2000, 0x3000}, kBaseType | kProtectionType);
  seal({0x2000, 0x3000}, kBaseType | kContentsType | kNoMoreTypes);
  CHECK(seals.size() == 3);
  CHECK(how_sealed(seals, {0x2000, 0x3000}).types == kEveryType);
  CHECK(how_sealed(seals, {0x1000, 0x4000}).types == kBaseType);
  CHECK(how_sealed(seals, {0x1000, 0x4000}).coverage == Coverage::fully);
  CHECK(how_sealed(seals, {0x1000, 0x5000}).types == kNoType);
  CHECK(how_sealed(seals, {0x1000, 0x5000}).coverage == Coverage::partly);
  CHECK(coverage(seals, {0x1000, 0x4000}, kWholeSeal) == Coverage::partly);
  CHECK_FALSE(refuses_types(seals, {0x2000, 0x3000}, kWholeSeal));  // it has them all
  seal({0x5000, 0x6000}, kBaseType | kNoMoreTypes);
  CHECK(refuses_types(seals, {0x1000, 0x6000}, kWholeSeal));
  CHECK_FALSE(refuses_types(seals, {0x1000, 0x6000}, kBaseType));
  CHECK_FALSE(refuses_types(seals, {0x1000, 0x5000}, kWholeSeal));
}

// Memory for a vector, as long as there is any.
bool g_memory_is_left = true;
template <class T>
struct Scarce {
  using value_type = T;
  Scarce() = default;
  template <class Other>
  explicit Scarce(const Scarce<Other>&) {}
  T* allocate(std::size_t count) {
    if (!g_memory_is_left) throw std::bad_alloc();
    return std::allocator<T>().allocate(count);
  }
  void deallocate(T* items, std::size_t count) { std::allocator<T>().deallocate(items, count); }
  bool operator==(const Scarce&) const = default;
};

TEST_CASE("what finds no memory leaves all seals as they were") {
  std::vector<Seal, Scarce<Seal>> seals;
  REQUIRE(add_seal(seals, Seal{{0x1000, 0x9000}, false, false, kBaseType}, 64));
  seals.shrink_to_fit();
  const auto before = seals;
  g_memory_is_left = false;
  CHECK_THROWS_AS(add_seal(seals, Seal{{0x3000, 0x4000}, true, false, kWholeSeal}, 64), std::bad_alloc);
  g_memory_is_left = true;
  CHECK(seals == before);
  CHECK(add_seal(seals, Seal{{0x3000, 0x4000}, true, false, kWholeSeal}, 64));
  CHECK(seals.size() == 3);
}

TEST_CASE("overlapping seals keep what each of them said, byte by byte") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Seal> seals;
    std::map<std::uint64_t, Seal> model;  // one entry a cell
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t start = random() % 24;
      const Seal seal{{start, start + 1 + random() % 8},
                      random() % 2 == 0,
                      random() % 2 == 0,
                      random() % 2 == 0 ? kBaseType : kWholeSeal,
                      random() % 3};
      REQUIRE(add_seal(seals, seal, 256));
      for (std::uint64_t cell = seal.range.start; cell < seal.range.end; ++cell) {
        const auto [at, added] = model.try_emplace(cell, seal);
        if (!added) at->second = at->second.joined_with(seal, at->second.range);
      }
    }
    std::uint64_t last = 0;
    std::size_t cells = 0;
    for (const Seal& seal : seals) {
      REQUIRE(seal.range.start >= last);
      REQUIRE_FALSE(seal.range.empty());
      last = seal.range.end;
      for (std::uint64_t cell = seal.range.start; cell < seal.range.end; ++cell, ++cells) {
        REQUIRE(model.at(cell).same_attributes(seal));
      }
    }
    REQUIRE(cells == model.size());
    for (std::size_t i = 1; i < seals.size(); ++i) {
      const bool could_join =
          seals[i - 1].range.end == seals[i].range.start && seals[i - 1].same_attributes(seals[i]);
      REQUIRE_FALSE(could_join);
    }
  }
}

TEST_CASE("a full list refuses a seal and stays as it was") {
  FixedVector<Seal, 8> seals;
  std::uint64_t start = 0;
  while (add_seal(seals, {Range::of(start, 1)}, seals.capacity())) start += 2;
  const std::vector<Seal> before(seals.begin(), seals.end());
  CHECK(before.size() >= 5);
  CHECK_FALSE(add_seal(seals, {Range::of(1000, 1)}, seals.capacity()));
  CHECK(std::vector<Seal>(seals.begin(), seals.end()) == before);
}

TEST_CASE("coverage counts bytes and chosen seals") {
  const std::vector<Seal> seals{{{10, 20}, true}, {{20, 30}, false, true, kWholeSeal, 7}};
  const auto all = [](const Seal&) { return true; };
  const auto common = [](const Seal& seal) { return !seal.may_grow_down; };
  CHECK(coverage(std::span<const Seal>(seals), {10, 30}, all) == Coverage::fully);
  CHECK(coverage(std::span<const Seal>(seals), {10, 30}, common) == Coverage::partly);
  CHECK(coverage(std::span<const Seal>(seals), {9, 30}, all) == Coverage::partly);
  CHECK(coverage(std::span<const Seal>(seals), {20, 25}, common) == Coverage::none);
  CHECK(coverage(std::span<const Seal>(seals), {30, 40}, all) == Coverage::none);
}

TEST_CASE("an empty or wrapping range touches nothing") {
  const std::vector<Seal> seals{{{0x1000, 0x2000}, true}};
  CHECK_FALSE(touches_seal(seals, {0x1000, 0x1000}));
  CHECK_FALSE(touches_seal(seals, Range::of(0x1000, ~0ULL)));
  CHECK(touches_seal(seals, {0, ~0ULL}));
  CHECK_FALSE(touches_seal(seals, {0, 0x1000}));
  CHECK_FALSE(touches_seal(seals, {0x2000, 0x3000}));
  CHECK(touches_protected_contents(seals, {0x1FFF, 0x3000}));
}

}  // namespace
}  // namespace libmseal::policy
