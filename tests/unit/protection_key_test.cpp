#include "policy/rules/protection_key.h"

#include <map>
#include <random>

#include "policy/rules/fixed_vector.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("a thread may write as its register says") {
  CHECK(may_write(0, 0));
  CHECK(may_write(0, 5));
  CHECK_FALSE(may_write(1U << 10, 5));  // no access
  CHECK_FALSE(may_write(2U << 10, 5));  // no writing
  CHECK(may_write(2U << 10, 4));
  CHECK_FALSE(may_write(0, 16));
}

TEST_CASE("what is keyed keeps its key, and nothing is held twice") {
  std::mt19937 random(9);
  for (int round = 0; round < 2000; ++round) {
    FixedVector<KeyedRange, 64> held;
    std::map<std::uint64_t, std::uint32_t> model;  // one entry a cell: the first key counts
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t start = random() % 24;
      const KeyedRange added{{start, start + random() % 8}, static_cast<std::uint32_t>(random() % 4)};
      REQUIRE(add_keyed(held, added));
      for (std::uint64_t cell = added.range.start; cell < added.range.end; ++cell)
        model.try_emplace(cell, added.key);
    }
    std::map<std::uint64_t, std::uint32_t> cells;
    for (const KeyedRange& one : held) {
      REQUIRE_FALSE(one.range.empty());
      for (std::uint64_t cell = one.range.start; cell < one.range.end; ++cell)
        REQUIRE(cells.try_emplace(cell, one.key).second);
    }
    REQUIRE(cells == model);

    const std::uint64_t from = random() % 30;
    const Range asked{from, from + random() % 6};
    const auto may = [](std::uint32_t key) { return key != 2; };
    bool all = !asked.empty();
    for (std::uint64_t cell = asked.start; cell < asked.end; ++cell)
      all = all && model.contains(cell) && may(model.at(cell));
    REQUIRE(all_keyed(held.view(), asked, may) == all);
  }
}

TEST_CASE("keyed ranges that find no room are reported") {
  FixedVector<KeyedRange, 2> held;
  CHECK(add_keyed(held, {{10, 20}, 1}));
  CHECK(add_keyed(held, {{30, 40}, 1}));
  CHECK(add_keyed(held, {{12, 18}, 3}));  // held already
  CHECK(add_keyed(held, {{15, 15}, 3}));  // empty
  CHECK_FALSE(add_keyed(held, {{5, 50}, 3}));
  CHECK_FALSE(all_keyed(held.view(), {10, 40}, [](std::uint32_t) { return true; }));
}

}  // namespace
}  // namespace libmseal::policy
