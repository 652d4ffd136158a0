// Who has sealed what: what a fork has from its parent, what the kernel is asked for it, and what is told of
// all seals.
#include "tests/supervisor/sealed_tree.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

// ---- inheritance ----

TEST_CASE("a fork has what was sealed before its birth, and nothing that came later") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal(100, 3) == 0);
  REQUIRE(tree.seal_by_filter(100, 4) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3, 4});
  CHECK(tree.sealed(200) == Seals{1, 2});
  tree.at_tick(30);
  REQUIRE(tree.seal(200, 5) == 0);
  CHECK(tree.sealed(200) == Seals{1, 2, 5});
  CHECK(tree.sealed(100) == Seals{1, 2, 3, 4});
}

TEST_CASE("of a filter that was made in the tick of its birth a fork has what it has filters for") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);  // before the filter
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  tree.proc.fork(100, 300, 10);  // after it
  CHECK(tree.sealed(200) == Seals{1, 2});
  CHECK(tree.sealed(300) == Seals{1, 2, 3});
  tree.proc.fork(100, 400, 10);
  tree.proc.tasks.at(400).filters = 0;
  tree.proc.status_faults[400] = Fault::unknown;  // it can't be told how many it has
  CHECK(holds(seals_in(tree.registry.look_up(400)), {1, 2, 3}));
}

TEST_CASE("a child that is there when the supervisor takes a seal is registered first") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  REQUIRE(tree.seal(100, 3) == 0);
  tree.proc.fork(100, 300, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  CHECK(tree.sealed(300) == Seals{1, 2, 3});
}

TEST_CASE("who could not be seen before a seal of the same tick has it") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.forks_unknown = tree.proc.list_unknown = true;
  REQUIRE(tree.seal(100, 3) == 0);
  tree.proc.heal();
  CHECK(tree.sealed(200) == Seals{1, 2, 3});
}

TEST_CASE("a child that seals all that it may takes no room from its parent") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  const Caller child = tree.registry.look_up(200);
  REQUIRE(begin_sealing(tree.registry, child) == Sharing::alone);
  long error = 0;
  for (std::uint64_t page = 0; error == 0; ++page) {
    REQUIRE(page <= shim::kMostSeals);
    error = add(tree.registry, child, {Range::of(0x2000'0000'0000 + page * 0x2000, 0x1000)}, false);
  }
  CHECK(error == -ENOMEM);
  CHECK(child.record->seals().size() > 65'000);
  CHECK_FALSE(child.record->make_room(1));
  // what does not fit is nowhere
  const std::size_t seals = child.record->seals().size();
  const std::size_t entries = child.record->entries().size();
  CHECK(add(tree.registry, child, {Range::of(0x3000'0000'0000, 0x1000)}, false) == -ENOMEM);
  CHECK(child.record->seals().size() == seals);
  CHECK(child.record->entries().size() == entries);
  CHECK(tree.seal(100, 3) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3});
}

TEST_CASE("what runs out while a process is registered leaves nothing half done") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.first(300, 9, 10);
  tree.at_tick(20);
  tree.proc.hold_throws = true;
  CHECK_THROWS_AS(tree.registry.look_up(200), std::bad_alloc);
  CHECK_THROWS_AS(tree.join(300), std::bad_alloc);
  tree.proc.heal();
  CHECK(tree.sealed(200) == Seals{1, 2});
  CHECK(tree.join(300).standing == Standing::member);
  tree.proc.stat_faults[100] = Fault::unknown;
  tree.proc.held_unreadable = true;
  CHECK(holds(seals_in(tree.registry.look_up(100)), {1, 2}));
}

TEST_CASE("siblings do not inherit from each other") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.fork(100, 300, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal(200, 3) == 0);
  REQUIRE(tree.seal_by_filter(200, 4) == 0);
  CHECK(tree.sealed(300) == Seals{1, 2});
  CHECK(tree.sealed(100) == Seals{1, 2});
  tree.at_tick(30);
  tree.proc.fork(300, 400, 30);
  CHECK(tree.sealed(400) == Seals{1, 2});
  tree.proc.fork(200, 500, 30);
  CHECK(tree.sealed(500) == Seals{1, 2, 3, 4});
  tree.proc.fork(100, 600, 30);
  CHECK(tree.sealed(600) == Seals{1, 2});
}

TEST_CASE("whose child a process is may not show: then it has what it may have") {
  SealedTree tree;
  tree.add_child();
  tree.at_tick(30);
  SECTION("for a child has made children of its parent") {
    tree.registry.note_lineage(200, true);
    tree.proc.fork_sibling(200, 300, 30);
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
    tree.proc.fork(100, 400, 30);
    CHECK(tree.sealed(400) == Seals{1, 2, 3});
    tree.proc.fork(300, 500, 30);  // nobody has made any of it
    CHECK(tree.sealed(500) == Seals{1, 2, 3});
  }
  SECTION("for its parent adopts") {
    tree.registry.note_lineage(100, false);
    tree.proc.subreapers.insert(100);
    tree.proc.fork(200, 300, 30);
    tree.proc.exit(200);
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
  }
  SECTION("for its parent is the first of a namespace") {
    tree.proc.tasks.at(100).first_of_namespace = true;
    tree.proc.subreapers.insert(100);
    tree.proc.fork(200, 300, 30);
    tree.proc.exit(200);
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
  }
  SECTION("for its parent can't be looked at, or has ended") {
    tree.proc.fork(100, 300, 30);
    tree.proc.status_faults[100] = Fault::unknown;
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
    tree.proc.heal();
    tree.proc.fork(100, 400, 30);
    tree.proc.held_unreadable = true;
    CHECK(tree.sealed(400) == Seals{1, 2, 3});
    tree.proc.heal();
    tree.proc.fork(100, 500, 30);
    tree.proc.fork(500, 600, 30);
    tree.proc.exit(500);
    CHECK(tree.sealed(600) == Seals{1, 2, 3});
  }
  SECTION("for who made children or adopts could not be looked at") {
    tree.proc.stat_faults[200] = Fault::unknown;
    tree.proc.held_unreadable = true;
    tree.registry.note_lineage(200, GENERATE(false, true));
    tree.proc.heal();
    tree.proc.fork(100, 300, 30);
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
  }
  SECTION("for too many adopt to be remembered") {
    for (pid_t number = 1000; number < 1000 + 1025; ++number) {
      tree.proc.fork(200, number, 30);
      tree.registry.note_lineage(number, false);
    }
    tree.proc.fork(100, 300, 30);
    CHECK(tree.sealed(300) == Seals{1, 2, 3});
  }
}

TEST_CASE("a parent that has touched no seal is registered before its child") {
  SealedTree tree;
  tree.add_child();
  tree.at_tick(30);
  tree.proc.fork(100, 300, 30);
  SECTION("also if it shares its memory with the child") {
    tree.proc.share(300, 400, 30);
    CHECK(tree.sealed(400) == Seals{1, 2});
    REQUIRE(tree.seal(300, 4) == 0);
    CHECK(tree.sealed(400) == Seals{1, 2, 4});
  }
  SECTION("and what it seals after the fork is its own") {
    tree.proc.fork(300, 400, 31);
    tree.at_tick(40);
    REQUIRE(tree.seal(300, 4) == 0);
    CHECK(tree.sealed(400) == Seals{1, 2});
  }
  SECTION("and so are its own ancestors, but not without end") {
    constexpr pid_t kGenerations = 100;
    for (pid_t one = 300; one < 300 + kGenerations; ++one) tree.proc.fork(one, one + 1, 31);
    CHECK(tree.sealed(300 + 50) == Seals{1, 2});
    CHECK(holds(tree.sealed(300 + kGenerations), {1, 2}));
  }
}

TEST_CASE("adopters that have ended are forgotten") {
  SealedTree tree;
  tree.add_child();
  tree.at_tick(30);
  for (pid_t number = 1000; number < 1000 + 3000; ++number) {
    tree.proc.fork(200, number, 30);
    tree.registry.note_lineage(number, false);
    tree.proc.exit(number);
  }
  tree.proc.fork(100, 300, 30);
  CHECK(tree.sealed(300) == Seals{1, 2});
}

TEST_CASE("a child of a process that has ended has its seals") {
  SealedTree tree;
  tree.add_child();
  tree.at_tick(30);
  tree.proc.fork(200, 300, 30);
  tree.proc.exit(200);
  SECTION("and is seen by others before its parent is forgotten") {
    tree.proc.exit(100);
    CHECK(holds(tree.sealed(300), {1, 2, 3}));
  }
  SECTION("and is seen by nobody before that") {
    CHECK(tree.registry.forget_ended_now());
  }
  CHECK(tree.registry.forget_ended_now());
  CHECK(holds(tree.sealed(300), {1, 2, 3}));
}

TEST_CASE("a filter counts as in force only in the process that installed it") {
  SealedTree tree;
  const auto covered_by = [&](pid_t process, const Range& range) {
    const Caller caller = tree.registry.look_up(process);
    return caller.record->covers(range, policy::kWholeSeal, [&](const supervisor::SealEntry& entry) {
      return entry.filtered && entry.by == caller.process;
    });
  };
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  CHECK(covered_by(100, place(3)));
  tree.at_tick(20);
  tree.proc.fork(100, 200, 20).filters = 9;
  CHECK(holds(tree.sealed(200), {3}));
  CHECK_FALSE(covered_by(200, place(3)));  // it may have it, or not
  CHECK_FALSE(covered_by(100, {place(3).start, place(3).end + 0x1000}));
}

// ---- what looks cost ----

TEST_CASE("a call of a process that is known takes one look, at what is held") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  for (const pid_t process : {100, 200}) {
    tree.proc.looks = tree.proc.held_looks = 0;
    CHECK(tree.registry.look_up(process).standing == Standing::member);
    CHECK(tree.proc.looks == 0);
    CHECK(tree.proc.held_looks == 1);
  }
}

TEST_CASE("a program that starts on a machine with many others looks at nobody born before it") {
  Tree tree;
  for (pid_t other = 2; other < 90; ++other) tree.proc.first(other, 1000, 1).filtered = false;
  tree.at_tick(10);
  tree.proc.first(100, 7, 10);
  tree.proc.clock += kTick / 2;
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.proc.looks = 0;
  CHECK(tree.registry.look_up(100).certain);
  REQUIRE(tree.seal(100, 1) == 0);
  CHECK(tree.proc.lists == 0);
  CHECK(tree.proc.looks < 10);
  CHECK(tree.proc.sharers_since.last == 100);
  CHECK(tree.proc.sample_forks().soon_after(tree.proc.sharers_since));
  SECTION("but one that has not called execve does: who shares its memory may be older") {
    tree.proc.first(200, 8, 10).forked = true;
    REQUIRE(tree.join(200).standing == Standing::member);
    REQUIRE(tree.seal(200, 1) == 0);
    CHECK(tree.proc.sharers_since.last == 0);
  }
  SECTION("and so does one that was born so long ago that numbers may have come around, the first time") {
    tree.proc.first(200, 8, 10);
    const bool may_be_cloning = GENERATE(false, true);
    SECTION("a thread of it") {
      if (may_be_cloning) tree.proc.thread(200, 201);
    }
    SECTION("the caller") {
      if (may_be_cloning) tree.proc.where = ReadResult<policy::Whereabouts>::unknown();
    }
    tree.at_tick(20);
    REQUIRE(tree.join(200).standing == Standing::member);
    REQUIRE(tree.seal(200, 1) == 0);
    CHECK_FALSE(tree.proc.sample_forks().soon_after(tree.proc.sharers_since));
    REQUIRE(tree.seal(200, 2) == 0);
    CHECK(tree.proc.sample_forks().soon_after(tree.proc.sharers_since) == !may_be_cloning);
  }
}

TEST_CASE("a seal long after another looks at nobody, if the kernel has counted no birth since") {
  Tree tree;
  for (pid_t other = 2; other < 90; ++other) tree.proc.first(other, 1000, 1).filtered = false;
  tree.at_tick(10);
  tree.proc.first(100, 7, 10);
  tree.proc.forks_counted = GENERATE(false, true);
  tree.at_tick(1000);
  REQUIRE(tree.join(100).standing == Standing::member);
  REQUIRE(tree.seal(100, 1) == 0);
  tree.at_tick(2000);
  const int lists = tree.proc.lists;
  const int looks = tree.proc.looks;
  tree.proc.sharers_since = {};
  REQUIRE(tree.seal(100, 2) == 0);
  CHECK((tree.proc.lists == lists) == tree.proc.forks_counted);
  CHECK((tree.proc.looks < looks + 10) == tree.proc.forks_counted);
  CHECK((tree.proc.sharers_since.time == 0) == tree.proc.forks_counted);  // sharers are not asked for
  tree.proc.fork(100, 200, 2000);
  tree.at_tick(3000);
  REQUIRE(tree.seal(100, 3) == 0);
  CHECK(tree.proc.lists > lists);
  CHECK(tree.sealed(200) == Seals{1, 2});
}

// ---- what anybody has sealed ----

TEST_CASE("all seals are there, until nobody may have one any more") {
  SealedTree tree;
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2});
  tree.proc.first(200, 8, 10);
  REQUIRE(tree.join(200).standing == Standing::member);
  REQUIRE(tree.seal(200, 3) == 0);
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2, 3});
  tree.proc.exit(200);
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2, 3});
  CHECK(tree.registry.forget_ended_now());
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2});
}

TEST_CASE("all seals are none that could be asked once they are too many, until some are forgotten") {
  SealedTree tree;
  const auto fill = [&](pid_t process, std::uint64_t from) {
    const Caller caller = tree.registry.look_up(process);
    REQUIRE(begin_sealing(tree.registry, caller) == Sharing::alone);
    for (std::uint64_t page = 0; page < shim::kMostSeals / 2; ++page)
      REQUIRE(add(tree.registry, caller, {Range::of(from + page * 0x2000, 0x1000)}, false) == 0);
  };
  for (const pid_t process : {200, 300}) {
    tree.proc.first(process, static_cast<std::uint64_t>(process), 10);
    REQUIRE(tree.join(process).standing == Standing::member);
    CHECK_FALSE(tree.registry.all_seals().empty());
    fill(process, static_cast<std::uint64_t>(process) << 36);
  }
  CHECK(tree.registry.all_seals().empty());
  REQUIRE(tree.seal(100, 3) == 0);
  CHECK(tree.registry.all_seals().empty());
  tree.proc.exit(300);
  CHECK(tree.registry.forget_ended_now());
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2, 3});
}

// ---- records ----

TEST_CASE("seals of one moment are told apart by all that they say") {
  supervisor::SealRecord parent;
  REQUIRE(parent.add({{place(1)}, false, 0, 5}));
  REQUIRE(parent.add({{place(1), true, true, policy::kWholeSeal, 0x9000}, true, 0, 5}));
  supervisor::SealRecord child;
  child.merge(parent);
  REQUIRE(child.seals().size() == 1);
  CHECK(child.seals()[0] == Seal{place(1), true, true, policy::kWholeSeal, 0x9000});
  CHECK(child.entries().any([](const supervisor::SealEntry& entry) { return entry.filtered; }));
}

// It runs under filters, and its memory can't be read: so it may be a fork of every image, unless its user
// tells.
TEST_CASE("a hidden process of another user brings no seals of other images to a newcomer") {
  const bool is_stranger = GENERATE(true, false);
  SealedTree tree;
  tree.proc.first(300, 9, 2);
  REQUIRE(tree.join(300).standing == Standing::member);
  REQUIRE(tree.seal(300, 5) == 0);
  FakeProc::Task& hidden = tree.proc.first(900, 50, 11);
  hidden.forked = true;
  hidden.readable = false;
  hidden.user = is_stranger ? FakeProc::kStranger : 0;
  tree.at_tick(12);
  REQUIRE(tree.seal(100, 4) == 0);
  tree.at_tick(13);
  tree.proc.fork(100, 101, 13).parent = 1;  // its parent has ended, say
  const Seals seals = tree.sealed(101);
  CHECK(holds(seals, {1, 2, 4}));
  CHECK(seals.contains(5) == !is_stranger);
}

}  // namespace
}  // namespace libmseal::tests
