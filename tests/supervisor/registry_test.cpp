// Who has sealed what, when looks fail: a caller gets all seals that it might have, never less, and is
// foreign only if that is proved.
#include "shim/supervisor/registry.h"

#include <cerrno>
#include <random>
#include <set>
#include <sstream>
#include <vector>

#include "tests/supervisor/fake_proc.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

using policy::Range;
using policy::Seal;
using shim::Sharing;
using supervisor::Caller;
using supervisor::Registry;
using supervisor::TableFile;
using Standing = Caller::Standing;
using Seals = std::set<int>;

constexpr Range kArena{0x6000'0000'0000, 0x6000'1000'0000};
constexpr std::uint64_t kTick = 10'000'000;  // ns
constexpr int kMostSeals = 4000;

// The seal with this number.
Range place(int number) {
  return Range::of(0x1000'0000'0000 + static_cast<std::uint64_t>(number) * 0x10000, 0x1000);
}

Seals numbers_of(std::span<const Seal> seals) {
  Seals found;
  for (int number = 0; number < kMostSeals; ++number) {
    if (policy::touches_seal(seals, place(number))) found.insert(number);
  }
  return found;
}

Seals seals_in(const Caller& caller) {
  return caller.record == nullptr ? Seals{} : numbers_of(caller.record->seals());
}

Sharing begin_sealing(Registry& registry, const Caller& caller) {
  registry.begin_sealing(caller);
  return registry.sharers(caller);
}

// A process tree, and what its supervisor does for it (control_channel.cpp).
struct Tree {
  FakeProc proc;
  Registry registry{proc, kArena, {}};

  void at_tick(std::uint64_t tick) { proc.clock = tick * kTick; }

  Caller join(pid_t process) {
    Caller caller = registry.look_up(process);
    if (caller.foreign() && caller.identity.readable())
      registry.make_image(caller, std::make_unique<TableFile>());
    else if (caller.standing == Standing::member)
      registry.greet(caller);
    return caller;
  }
  // The supervisor refuses what touches it from now on.
  long seal(pid_t process, int number) {
    const Caller caller = registry.look_up(process);
    if (!caller.may_seal()) return -EPERM;
    if (begin_sealing(registry, caller) == Sharing::unknown) return -EAGAIN;
    return registry.add(caller, {place(number)}, false);
  }
  // A filter does, in every thread.
  long seal_by_filter(pid_t process, int number) {
    const Caller caller = registry.look_up(process);
    if (!caller.may_seal()) return -EPERM;
    registry.begin_sealing(caller);
    if (registry.sharers(caller) != Sharing::alone) return -EAGAIN;
    for (auto& [id, task] : proc.tasks) {
      if (task.leader == process && task.memory != nullptr) ++task.filters;
    }
    const Caller again = registry.look_up(process);
    if (!again.may_seal()) return -EPERM;
    return registry.add(again, {place(number)}, true);
  }
  Seals sealed(pid_t task) {
    const Caller caller = registry.look_up(task);
    CHECK(caller.standing == Standing::member);
    return seals_in(caller);
  }
};

// Process 100 at tick 1, which has sealed 1 by the supervisor at tick 5 and 2 by a filter at tick 6.
struct SealedTree : Tree {
  SealedTree() {
    at_tick(1);
    proc.first(100, 7, 1);
    REQUIRE(join(100).standing == Standing::member);
    at_tick(5);
    REQUIRE(seal(100, 1) == 0);
    at_tick(6);
    REQUIRE(seal_by_filter(100, 2) == 0);
    at_tick(10);
  }
};

bool holds(const Seals& all, const Seals& some) {
  return std::ranges::includes(all, some);
}

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

TEST_CASE("a child that is there when the supervisor takes a seal is met first") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  REQUIRE(tree.seal(100, 3) == 0);
  tree.proc.fork(100, 300, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  CHECK(tree.sealed(300) == Seals{1, 2, 3});
}

TEST_CASE("who could not be met before a seal of the same tick has it") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.births_unknown = tree.proc.list_unknown = true;
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
    error = tree.registry.add(child, {Range::of(0x2000'0000'0000 + page * 0x2000, 0x1000)}, false);
  }
  CHECK(error == -ENOMEM);
  CHECK(child.record->seals().size() > 65'000);
  CHECK_FALSE(child.record->make_room(1));
  // what does not fit is nowhere
  const std::size_t seals = child.record->seals().size();
  const std::size_t entries = child.record->entries().size();
  CHECK(tree.registry.add(child, {Range::of(0x3000'0000'0000, 0x1000)}, false) == -ENOMEM);
  CHECK(child.record->seals().size() == seals);
  CHECK(child.record->entries().size() == entries);
  CHECK(tree.seal(100, 3) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3});
}

TEST_CASE("what runs out while a process is met leaves nothing half done") {
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
  // Whose child 400 is does not show: it might be that of 200, but for the filter.
  tree.at_tick(30);
  tree.proc.fork(300, 400, 30);
  CHECK(tree.sealed(400) == Seals{1, 2, 3});
  tree.proc.fork(200, 500, 30);
  CHECK(tree.sealed(500) == Seals{1, 2, 3, 4});
}

TEST_CASE("a child of a process that has ended has its seals") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal(200, 3) == 0);
  tree.at_tick(30);
  tree.proc.fork(200, 300, 30);
  tree.proc.exit(200);
  tree.proc.exit(100);
  CHECK(holds(tree.sealed(300), {1, 2, 3}));
  CHECK(tree.registry.collect_now());
  CHECK(holds(tree.sealed(300), {1, 2, 3}));
}

TEST_CASE("a child that is met by nobody before its parent is forgotten is met then") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal(200, 3) == 0);
  tree.at_tick(30);
  tree.proc.fork(200, 300, 30);
  tree.proc.exit(200);
  CHECK(tree.registry.collect_now());
  CHECK(tree.registry.collect_now());
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
  CHECK(tree.proc.births().soon_after(tree.proc.sharers_since));
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
      if (may_be_cloning) tree.proc.where = Look<policy::Whereabouts>::unknown();
    }
    tree.at_tick(20);
    REQUIRE(tree.join(200).standing == Standing::member);
    REQUIRE(tree.seal(200, 1) == 0);
    CHECK_FALSE(tree.proc.births().soon_after(tree.proc.sharers_since));
    REQUIRE(tree.seal(200, 2) == 0);
    CHECK(tree.proc.births().soon_after(tree.proc.sharers_since) == !may_be_cloning);
  }
}

TEST_CASE("a seal long after another looks at nobody, if the kernel has counted no birth since") {
  Tree tree;
  for (pid_t other = 2; other < 90; ++other) tree.proc.first(other, 1000, 1).filtered = false;
  tree.at_tick(10);
  tree.proc.first(100, 7, 10);
  tree.proc.births_counted = GENERATE(false, true);
  tree.at_tick(1000);
  REQUIRE(tree.join(100).standing == Standing::member);
  REQUIRE(tree.seal(100, 1) == 0);
  tree.at_tick(2000);
  const int lists = tree.proc.lists;
  const int looks = tree.proc.looks;
  tree.proc.sharers_since = {};
  REQUIRE(tree.seal(100, 2) == 0);
  CHECK((tree.proc.lists == lists) == tree.proc.births_counted);
  CHECK((tree.proc.looks < looks + 10) == tree.proc.births_counted);
  CHECK((tree.proc.sharers_since.time == 0) == tree.proc.births_counted);  // sharers are not asked for
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
  CHECK(tree.registry.collect_now());
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2});
}

TEST_CASE("all seals are none that could be asked once they are too many, until some are forgotten") {
  SealedTree tree;
  const auto fill = [&](pid_t process, std::uint64_t from) {
    const Caller caller = tree.registry.look_up(process);
    REQUIRE(begin_sealing(tree.registry, caller) == Sharing::alone);
    for (std::uint64_t page = 0; page < shim::kMostSeals / 2; ++page)
      REQUIRE(tree.registry.add(caller, {Range::of(from + page * 0x2000, 0x1000)}, false) == 0);
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
  CHECK(tree.registry.collect_now());
  CHECK(numbers_of(tree.registry.all_seals()) == Seals{1, 2, 3});
}

// ---- sharers ----

TEST_CASE("who shares the memory shares the record") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal(100, 3) == 0);
  CHECK(tree.sealed(200) == Seals{1, 2, 3});
  CHECK(tree.registry.look_up(200).record == tree.registry.look_up(100).record);
  REQUIRE(tree.seal(200, 4) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3, 4});
  CHECK(tree.seal_by_filter(100, 5) == -EAGAIN);
}

TEST_CASE("a sharer that was met before keeps what it has sealed, and gives it to the others") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  tree.at_tick(20);
  REQUIRE(tree.seal(200, 3) == 0);
  REQUIRE(tree.seal(100, 4) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3, 4});
  CHECK(tree.sealed(200) == Seals{1, 2, 3, 4});
}

TEST_CASE("a sharer that can't be looked at is one that may not have the seal") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  for (auto* faults : {&tree.proc.stat_faults, &tree.proc.status_faults}) {
    tree.proc.heal();
    tree.proc.held_unreadable = true;  // else one look at the held file is enough
    (*faults)[200] = Fault::unknown;
    const Caller caller = tree.registry.look_up(100);
    CHECK(tree.registry.sharers(caller) == Sharing::unknown);
  }
  tree.proc.heal();
  tree.proc.sharers_unknown = true;
  CHECK(tree.seal(100, 3) == -EAGAIN);
}

TEST_CASE("a sharer that was not to be found yet when the seal was made has it when it is met") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);  // it had its start time, and could not be found
  const auto hidden = tree.proc.tasks.at(200);
  tree.proc.exit(200);
  tree.at_tick(20);
  REQUIRE(tree.seal(100, 3) == 0);
  tree.proc.tasks[200] = hidden;
  CHECK(tree.sealed(200) == Seals{1, 2, 3});
  REQUIRE(tree.seal(100, 4) == 0);
  CHECK(tree.sealed(200) == Seals{1, 2, 3, 4});
}

TEST_CASE("a sharer whose first thread was met without memory has the seals of the memory of its others") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);
  tree.proc.thread(200, 201);
  tree.proc.end_leader(200);
  tree.proc.tasks.at(200).state = 'S';  // on its way out
  CHECK(tree.registry.look_up(200).hidden);
  tree.at_tick(20);
  const Caller sealer = tree.registry.look_up(100);
  tree.registry.begin_sealing(sealer);
  REQUIRE(tree.registry.add(sealer, {place(3)}, false) == 0);  // nobody has looked for sharers
  CHECK(tree.sealed(201) == Seals{1, 2, 3});
  CHECK(tree.registry.look_up(201).record == tree.registry.look_up(100).record);
}

TEST_CASE("a sharer that has no filter can't be sealed for: nobody hears of its calls") {
  SealedTree tree;
  tree.proc.share(100, 200, 10).filtered = false;
  CHECK(tree.seal(100, 3) == -EAGAIN);
  tree.proc.exit(200);
  CHECK(tree.seal(100, 3) == 0);
}

TEST_CASE("a sharer that was born before the first filter has it not, whatever other filters it has") {
  FakeProc proc;
  proc.first(100, 0x1000);
  proc.share(100, 200, 10);
  proc.clock = 15 * kTick;
  Registry registry(proc, kArena, {});
  Caller caller = registry.look_up(100);
  registry.make_image(caller, std::make_unique<TableFile>());
  CHECK(begin_sealing(registry, caller) == Sharing::unknown);
  proc.exit(200);
  CHECK(begin_sealing(registry, caller) == Sharing::alone);
  proc.share(100, 300, 16);
  CHECK(begin_sealing(registry, caller) == Sharing::shared);
}

TEST_CASE("of a sharer that was born in the tick of the first filter, the number of its filters tells") {
  FakeProc proc;
  proc.first(100, 0x1000).filters = 3;
  proc.clock = 15 * kTick + 1;
  Registry registry(proc, kArena, {});
  Caller caller = registry.look_up(100);
  registry.make_image(caller, std::make_unique<TableFile>());
  proc.share(100, 200, 15).filters = 2;
  CHECK(begin_sealing(registry, caller) == Sharing::unknown);
  proc.exit(200);
  proc.share(100, 300, 15).filters = 3;
  CHECK(begin_sealing(registry, caller) == Sharing::shared);
  proc.exit(300);
  proc.share(100, 400, 15).filters = ~0U;  // the kernel does not say
  CHECK(begin_sealing(registry, caller) == Sharing::unknown);
}

TEST_CASE("a sharer that was taken for one of another image with the same addresses has the seal") {
  Tree tree;
  tree.at_tick(1);
  tree.proc.first(100, 7, 1);
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.proc.fork(100, 200, 10);
  tree.proc.exec(200, 7);  // no ASLR
  tree.at_tick(20);
  REQUIRE(tree.join(200).standing == Standing::member);
  tree.proc.share(200, 300, 20);
  CHECK(tree.sealed(300).empty());
  REQUIRE(tree.seal(200, 1) == 0);
  CHECK(tree.sealed(300) == Seals{1});
  CHECK(tree.registry.collect_now());
  REQUIRE(tree.seal(200, 2) == 0);
  CHECK(tree.sealed(300) == Seals{1, 2});
}

TEST_CASE("the parent has what a child in its memory sealed first") {
  SealedTree tree;
  tree.proc.exec(100, 8);  // without the library
  tree.proc.share(100, 200, 20);
  tree.at_tick(20);
  REQUIRE(tree.join(200).standing == Standing::member);
  REQUIRE(tree.seal(200, 3) == 0);
  CHECK(tree.sealed(200) == Seals{3});
  CHECK(tree.sealed(100) == Seals{3});
  tree.proc.exit(200);
  CHECK(tree.registry.collect_now());
  CHECK(tree.sealed(100) == Seals{3});
  tree.proc.exec(100, 8);
  CHECK(tree.registry.look_up(100).foreign());
}

// ---- execve ----

std::vector<Range> fences_of(const Caller& caller) {
  const auto fences = caller.image->table->fences();
  return {fences.begin(), fences.end()};
}

TEST_CASE("an executed image is foreign, has no seals, and is fenced off from inherited filters") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  SECTION("of a process that was met before") {
    CHECK(tree.sealed(200) == Seals{1, 2});
  }
  SECTION("of one that was not") {}
  tree.proc.exec(200, 8);
  CHECK(tree.registry.look_up(200).foreign());
  const Caller caller = tree.join(200);
  CHECK(caller.standing == Standing::member);
  CHECK(seals_in(caller).empty());
  CHECK(fences_of(caller) == std::vector<Range>{place(2)});
  CHECK(tree.sealed(100) == Seals{1, 2, 3});
}

TEST_CASE("an image with the addresses of another is told from it") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  tree.proc.exec(200, 7);
  CHECK(tree.registry.look_up(200).foreign());
  // The first process, too.
  tree.proc.exec(100, 7);
  CHECK(tree.registry.look_up(100).foreign());
}

TEST_CASE(
    "an image with the addresses of one whose memory lives on is of that, for as long as its own lives") {
  Tree tree;
  tree.at_tick(1);
  tree.proc.first(100, 7, 1);
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.proc.share(100, 200, 10);
  tree.proc.exec(100, 7);
  const Caller caller = tree.join(100);
  REQUIRE(caller.standing == Standing::member);
  REQUIRE(tree.registry.add(caller, {place(1)}, false) == 0);  // at its start
  tree.proc.exit(200);                                         // with it, the first memory
  CHECK(tree.sealed(100) == Seals{1});
  tree.proc.exec(100, 7);
  CHECK(tree.registry.look_up(100).foreign());
}

TEST_CASE("the seals of a start are made with one look at the filters") {
  SealedTree tree;
  tree.proc.first(200, 8, 10).filters = 2;
  const Caller caller = tree.join(200);
  tree.proc.tasks.at(200).filters = 3;
  tree.proc.looks = 0;
  for (int number = 3; number < 6; ++number) REQUIRE(tree.registry.add(caller, {place(number)}, true) == 0);
  CHECK(tree.proc.looks == 1);
  // Not so later.
  tree.proc.tasks.at(200).filters = 4;
  REQUIRE(begin_sealing(tree.registry, caller) == Sharing::alone);
  REQUIRE(tree.registry.add(caller, {place(6)}, true) == 0);
  tree.proc.fork(200, 300, 10).filters = 3;  // before that
  CHECK(tree.sealed(300) == Seals{3, 4, 5});
}

TEST_CASE("a filter that a process tells of, and has not installed, is none") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  const Caller child = tree.registry.look_up(200);
  CHECK(tree.registry.add(child, {place(3)}, true) == -EPERM);  // it has not even asked
  REQUIRE(begin_sealing(tree.registry, child) == Sharing::alone);
  CHECK(tree.registry.add(child, {place(3)}, true) == -EPERM);
  ++tree.proc.tasks.at(200).filters;
  CHECK(tree.registry.add(child, {place(3)}, true) == 0);
  CHECK(tree.registry.add(child, {place(4)}, true) == 0);  // of the same filter
  REQUIRE(begin_sealing(tree.registry, child) == Sharing::alone);
  CHECK(tree.registry.add(child, {place(5)}, true) == -EPERM);
  CHECK(tree.sealed(200) == Seals{1, 2, 3, 4});
  tree.proc.fork(100, 300, 20);
  CHECK(tree.sealed(300) == Seals{1, 2});
}

TEST_CASE("without the first memory in hand, its process is not proved to run another image") {
  Tree tree;
  tree.at_tick(1);
  tree.proc.first(100, 7, 1);
  tree.proc.no_memory_held = true;
  REQUIRE(tree.join(100).standing == Standing::member);
  REQUIRE(tree.seal(100, 1) == 0);
  tree.proc.exec(100, 7);
  CHECK(tree.sealed(100) == Seals{1});
  tree.proc.exec(100, 8);
  CHECK(tree.registry.look_up(100).foreign());
}

TEST_CASE("fences outlive the images that they come from") {
  SealedTree tree;
  tree.proc.exec(100, 8);
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.at_tick(20);
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  CHECK(tree.registry.collect_now());  // the first image is gone
  tree.proc.exec(100, 9);              // a program without the library
  CHECK(tree.registry.collect_now());  // so is the second
  CHECK(tree.registry.look_up(100).foreign());
  tree.proc.exec(100, 10);
  const Caller caller = tree.join(100);
  CHECK(fences_of(caller) == std::vector<Range>{place(2), place(3)});
}

TEST_CASE("fences without the process being known are those of everybody, and end with the last filter") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.fork(100, 201, 10);
  tree.proc.tasks.at(201).filtered = false;  // not of the tree, say
  tree.proc.exec(201, 9);
  tree.proc.exec(200, 8);
  tree.proc.exit(100);
  CHECK(tree.registry.collect_now());
  CHECK(fences_of(tree.join(200)) == std::vector<Range>{place(2)});
  tree.proc.exit(200);
  CHECK(tree.registry.collect_now());
  CHECK(fences_of(tree.join(201)).empty());
}

// ---- looks that fail ----

TEST_CASE("a caller that can't be looked at has the seals of everybody, and is not foreign") {
  struct Row {
    const char* what;
    void (*fail)(FakeProc&);
  };
  const Row rows[] = {
      {"stat: EMFILE", [](FakeProc& proc) { proc.stat_faults[201] = Fault::unknown; }},
      {"stat: ENOENT", [](FakeProc& proc) { proc.stat_faults[201] = Fault::gone; }},
      {"status: EMFILE", [](FakeProc& proc) { proc.status_faults[201] = Fault::unknown; }},
      {"status: ENOENT", [](FakeProc& proc) { proc.status_faults[201] = Fault::gone; }},
      {"the leader's stat: EMFILE", [](FakeProc& proc) { proc.stat_faults[200] = Fault::unknown; }},
      {"the leader's stat: ENOENT", [](FakeProc& proc) { proc.stat_faults[200] = Fault::gone; }},
      {"unreadable memory",
       [](FakeProc& proc) { proc.tasks.at(200).readable = proc.tasks.at(201).readable = false; }},
      {"a leader that has ended", [](FakeProc& proc) { proc.end_leader(200); }},
      {"a leader that has ended, and unreadable memory",
       [](FakeProc& proc) {
         proc.end_leader(200);
         proc.tasks.at(201).readable = false;
       }},
      {"no process can be held", [](FakeProc& proc) { proc.nothing_held = true; }},
      {"held files can't be read", [](FakeProc& proc) { proc.held_unreadable = true; }},
      {"births and processes unknown",
       [](FakeProc& proc) { proc.births_unknown = proc.list_unknown = true; }},
  };
  for (const Row& row : rows) {
    for (const bool met : {false, true}) {
      for (const pid_t task : {200, 201}) {
        SealedTree tree;
        tree.proc.fork(100, 200, 10);
        tree.proc.thread(200, 201);
        if (met) CHECK(tree.sealed(201) == Seals{1, 2});
        row.fail(tree.proc);
        if (tree.proc.tasks.at(task).memory == nullptr) continue;  // it makes no calls
        INFO(row.what << (met ? ", met before" : "") << ", task " << task);
        const Caller caller = tree.registry.look_up(task);
        CHECK_FALSE(caller.foreign());
        CHECK(holds(seals_in(caller), {1, 2}));
        // And it is no worse afterwards.
        tree.proc.heal();
        tree.proc.tasks.at(200).readable = tree.proc.tasks.at(201).readable = true;
        CHECK(holds(tree.sealed(task), {1, 2}));
      }
    }
  }
}

TEST_CASE("who has called execve is foreign, whether its memory shows or not") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  SECTION("met before") {
    CHECK(tree.sealed(200) == Seals{1, 2});
  }
  SECTION("not met") {}
  tree.proc.exec(200, 8);
  for (const bool readable : {false, true}) {  // mode 0111, or another user
    tree.proc.tasks.at(200).readable = readable;
    CHECK(tree.registry.look_up(200).foreign());
    CHECK(tree.registry.collect_now());
  }
  CHECK(tree.sealed(100) == Seals{1, 2});
}

TEST_CASE("the memory of a creator that can't be held may be the old one") {
  SealedTree tree;
  tree.proc.nothing_held = true;
  tree.proc.first(200, 8, 10);
  CHECK(tree.join(200).standing == Standing::member);
  CHECK(tree.seal(200, 3) == 0);
  tree.proc.heal();
  tree.proc.tasks.at(200).readable = false;
  CHECK(holds(tree.sealed(200), {3}));
}

// A worker that has changed its user, where the supervisor may not look at other users' processes.
TEST_CASE("a fork whose memory does not show is of every image that it may be of") {
  SealedTree tree;
  tree.proc.first(500, 9, 8);
  REQUIRE(tree.join(500).standing == Standing::member);
  REQUIRE(tree.seal(500, 5) == 0);
  tree.proc.fork(100, 300, 10);
  const bool with_leader = GENERATE(true, false);
  if (!with_leader) {
    tree.proc.thread(300, 301);
    tree.proc.end_leader(300);
  }
  const pid_t task = with_leader ? 300 : 301;
  tree.proc.tasks.at(task).readable = false;
  SECTION("met by its own call") {
    CHECK(holds(tree.sealed(task), {1, 2}));
    CHECK(tree.seal(task, 6) == -EPERM);  // it may be a fork of a program without the library
    CHECK(tree.sealed(100) == Seals{1, 2});
    CHECK(tree.sealed(500) == Seals{5});
  }
  SECTION("met by a collection") {
    CHECK(tree.registry.collect_now());
  }
  SECTION("met when another seals") {
    CHECK(tree.seal(100, 7) == 0);
  }
  tree.proc.exit(100);
  tree.proc.exit(500);
  CHECK(tree.registry.collect_now());
  CHECK(holds(tree.sealed(task), {1, 2}));
  tree.proc.tasks.at(task).readable = true;
  CHECK(holds(tree.sealed(task), {1, 2}));
  tree.proc.exit(300);
  tree.proc.exit(301);
  CHECK(tree.registry.collect_now());
  tree.proc.first(600, 7, 600);
  tree.proc.tasks.at(600).forked = true;
  CHECK(tree.registry.look_up(600).foreign());
}

TEST_CASE("a member that hides itself is a member, unless it has called execve") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  CHECK(tree.sealed(200) == Seals{1, 2});
  for (const pid_t process : {100, 200}) {
    tree.proc.tasks.at(process).readable = false;
    tree.at_tick(20);
    CHECK(tree.seal(process, process) == 0);
    CHECK(holds(tree.sealed(process), {1, 2, process}));
    tree.proc.tasks.at(process).readable = true;
    CHECK(holds(tree.sealed(process), {1, 2, process}));
    tree.proc.exec(process, 8);
    tree.proc.tasks.at(process).readable = false;
    CHECK(tree.seal(process, 3) == -EPERM);
    CHECK(tree.registry.look_up(process).foreign());
  }
}

// ---- numbers that come again ----

TEST_CASE("a number that comes again, in the same tick, is another process") {
  for (const bool held : {true, false}) {
    INFO((held ? "held" : "not held"));
    SealedTree tree;
    tree.proc.fork(100, 200, 10);
    tree.proc.fork(100, 300, 10);
    tree.proc.nothing_held = !held;
    CHECK(holds(tree.sealed(300), {1, 2}));
    CHECK(holds(tree.sealed(200), {1, 2}));
    tree.at_tick(10);
    REQUIRE(tree.seal(200, 3) == 0);
    tree.proc.exit(300);
    tree.proc.fork(200, 300, 10);
    CHECK(holds(tree.sealed(300), {1, 2, 3}));
  }
}

TEST_CASE("another process under a number of the same tick has not sealed what the first has") {
  SealedTree tree;
  const auto has_sealed = [&](int number) {
    const Caller caller = tree.registry.look_up(300);
    return caller.record->covers(place(number), policy::kWholeSeal, [&](const supervisor::SealEntry& entry) {
      return entry.by == caller.process;
    });
  };
  tree.proc.fork(100, 300, 10);
  tree.at_tick(10);
  REQUIRE(tree.seal(300, 3) == 0);
  CHECK(has_sealed(3));
  tree.proc.exit(300);
  tree.proc.fork(100, 300, 10);
  CHECK_FALSE(has_sealed(3));
}

TEST_CASE("a child under a number of the same tick is met before its parent is forgotten") {
  for (const bool held : {true, false}) {
    INFO((held ? "held" : "not held"));
    SealedTree tree;
    tree.proc.fork(100, 200, 10);
    tree.proc.fork(100, 300, 10);
    tree.proc.nothing_held = !held;
    CHECK(holds(tree.sealed(300), {1, 2}));
    CHECK(holds(tree.sealed(200), {1, 2}));
    REQUIRE(tree.seal(200, 3) == 0);
    tree.proc.exit(300);
    tree.proc.fork(200, 300, 10);
    tree.proc.exit(200);
    CHECK(tree.registry.collect_now());
    CHECK(holds(tree.sealed(300), {1, 2, 3}));
  }
}

TEST_CASE("an unreadable process under a member's number is not taken for the member") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.fork(100, 300, 10);
  CHECK(tree.sealed(300) == Seals{1, 2});
  tree.proc.exec(200, 8);
  REQUIRE(tree.join(200).standing == Standing::member);
  REQUIRE(tree.seal(200, 3) == 0);
  tree.proc.exit(300);
  tree.proc.fork(200, 300, 10);
  tree.proc.tasks.at(300).readable = false;
  CHECK(holds(seals_in(tree.registry.look_up(300)), {3}));
}

// ---- forgetting ----

TEST_CASE("nothing is forgotten without a proof") {
  struct Row {
    const char* what;
    void (*fail)(FakeProc&);
  };
  const Row rows[] = {
      {"hidepid, or no directory", [](FakeProc& proc) { proc.list_unknown = true; }},
      {"births unknown", [](FakeProc& proc) { proc.births_unknown = true; }},
      {"births meanwhile", [](FakeProc& proc) { proc.births_moving = true; }},
      {"a process born behind the list, with a number that has come around",
       [](FakeProc& proc) {
         proc.after_list = [&proc] {
           if (proc.tasks.contains(300)) proc.fork(300, 50, 20);
         };
       }},
      {"a process born behind the list that can't be looked at",
       [](FakeProc& proc) {
         proc.after_list = [&proc] {
           if (proc.tasks.contains(300)) proc.fork(300, 401, 20);
           proc.stat_faults[401] = Fault::unknown;
         };
       }},
      {"stat: EMFILE", [](FakeProc& proc) { proc.stat_faults[300] = Fault::unknown; }},
      {"status: EMFILE", [](FakeProc& proc) { proc.status_faults[300] = Fault::unknown; }},
      {"a leader that has ended, and status: EMFILE",
       [](FakeProc& proc) {
         proc.thread(300, 301);
         proc.end_leader(300);
         proc.status_faults[300] = Fault::unknown;
       }},
      {"a leader that has ended, and its threads: EMFILE",
       [](FakeProc& proc) {
         proc.thread(300, 301);
         proc.end_leader(300);
         proc.thread_faults[300] = Fault::unknown;
       }},
      {"a leader that has ended, and a thread's stat: EMFILE",
       [](FakeProc& proc) {
         proc.thread(300, 301);
         proc.end_leader(300);
         proc.stat_faults[301] = Fault::unknown;
       }},
      {"a leader that has ended, and a thread's status: EMFILE",
       [](FakeProc& proc) {
         proc.thread(300, 301);
         proc.end_leader(300);
         proc.status_faults[301] = Fault::unknown;
       }},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    SealedTree tree;
    tree.proc.fork(100, 300, 10);
    tree.proc.exit(100);
    tree.proc.first(400, 9, 10);  // somebody else
    tree.proc.exit(400);
    row.fail(tree.proc);
    CHECK_FALSE(tree.registry.collect_now());
    tree.proc.heal();
    for (auto& [id, task] : tree.proc.tasks) task.readable = true;
    const pid_t caller = tree.proc.tasks.contains(301) ? 301 : tree.proc.tasks.contains(300) ? 300 : 401;
    CHECK(holds(tree.sealed(caller), {1, 2}));
    CHECK(tree.registry.collect_now());
    CHECK(holds(tree.sealed(caller), {1, 2}));
  }
}

TEST_CASE("who is born while all are looked at is looked at, too") {
  SealedTree tree;
  tree.proc.fork(100, 300, 10);
  tree.proc.exit(100);
  int births = 3;  // one after the other, each the last of the family
  tree.proc.after_list = [&] {
    for (pid_t child = 301; births > 0; ++child, --births) {
      tree.proc.fork(child - 1, child, 20);
      tree.proc.exit(child - 1);
    }
  };
  CHECK(tree.registry.collect_now());
  CHECK(holds(tree.sealed(303), {1, 2}));
}

TEST_CASE("an image whose processes are all without their first thread is there") {
  for (const bool filtered : {true, false}) {
    INFO((filtered ? "" : "the leader had ended before the first filter came, and has none"));
    Tree tree;
    tree.at_tick(1);
    tree.proc.first(100, 7, 1);
    tree.proc.thread(100, 101);
    if (!filtered) {
      tree.proc.tasks.at(100).filtered = false;
      tree.proc.end_leader(100);
    }
    REQUIRE(tree.join(101).standing == Standing::member);
    REQUIRE(tree.seal(101, 1) == 0);
    if (filtered) tree.proc.end_leader(100);
    CHECK(tree.registry.collect_now());
    CHECK(tree.sealed(101) == Seals{1});
    tree.proc.exit(101);
    CHECK(tree.registry.collect_now());  // a zombie alone has nothing
  }
}

TEST_CASE("a process whose threads each make the next and end is there") {
  SealedTree tree;
  pid_t thread = 101;
  tree.proc.thread(100, thread);
  REQUIRE(tree.sealed(thread) == Seals{1, 2});
  tree.proc.end_leader(100);
  tree.proc.after_threads = [&] {
    const auto memory = tree.proc.tasks.at(thread).memory;
    tree.proc.thread(100, thread + 1).memory = memory;
    tree.proc.exit(thread++);
  };
  CHECK(tree.registry.collect_now());
  CHECK(thread > 101);
  tree.proc.heal();
  CHECK(tree.sealed(thread) == Seals{1, 2});
}

TEST_CASE("what has ended is forgotten") {
  SealedTree tree;
  for (pid_t child = 200; child < 300; ++child) {
    tree.at_tick(static_cast<std::uint64_t>(child));
    tree.proc.fork(100, child, static_cast<std::uint64_t>(child));
    REQUIRE(tree.seal(child, child) == 0);
    tree.proc.exit(child);
  }
  CHECK(tree.registry.collect_now());
  tree.at_tick(400);
  tree.proc.fork(100, 300, 400);
  CHECK(tree.sealed(300) == Seals{1, 2});
  tree.proc.exit(100);
  tree.proc.exit(300);
  CHECK(tree.registry.collect_now());
  // Nobody is left, so a process with those addresses is proved to be another.
  tree.proc.first(500, 7, 500);
  tree.proc.tasks.at(500).forked = true;
  CHECK(tree.registry.look_up(500).foreign());
}

TEST_CASE("collections are rare, and rarer when nothing could be proved") {
  SealedTree tree;
  CHECK_FALSE(tree.registry.collect());
  const auto make_many = [&](pid_t from, int count) {
    for (pid_t child = from; child < from + count; ++child) {
      tree.proc.fork(100, child, 10);
      (void)tree.registry.look_up(child);
    }
  };
  make_many(1000, 200);
  tree.proc.list_unknown = true;
  CHECK_FALSE(tree.registry.collect());
  tree.proc.heal();
  CHECK_FALSE(tree.registry.collect());  // not at once again
  CHECK_FALSE(tree.registry.wants_to_collect());
  make_many(2000, 100);
  CHECK(tree.registry.collect());
  CHECK_FALSE(tree.registry.collect());
  // When there is nothing else to do, a little earlier.
  make_many(3000, 100);
  CHECK_FALSE(tree.registry.collect());
  CHECK(tree.registry.wants_to_collect());
  CHECK(tree.registry.collect(true));
  CHECK_FALSE(tree.registry.wants_to_collect());
}

// ---- records ----

TEST_CASE("seals of one moment are told apart by all that they say") {
  supervisor::Record parent;
  REQUIRE(parent.add({{place(1)}, false, 0, 5}));
  REQUIRE(parent.add({{place(1), true, true, policy::kWholeSeal, 0x9000}, true, 0, 5}));
  supervisor::Record child;
  supervisor::Record::Seen seen;
  child.inherit(parent, {}, seen);
  REQUIRE(child.seals().size() == 1);
  CHECK(child.seals()[0] == Seal{place(1), true, true, policy::kWholeSeal, 0x9000});
  CHECK(std::ranges::any_of(child.entries(), &supervisor::SealEntry::filtered));
}

// ---- everything at once ----

// Random processes that fork, execute, share, end and seal, while looks fail: numbers come again, ticks are
// long, and addresses are the same for all or not. The model is what the kernel would know.
class Chaos {
 public:
  explicit Chaos(std::uint32_t seed) : random_(seed) {
    same_addresses_ = seed % 2 == 0;
    tree_.proc.first(1, 1000, 0);
    tree_.proc.tasks.at(1).filtered = false;
    tree_.proc.first(100, 1, 1);
    tree_.at_tick(1);
    tick_ = 1;
    REQUIRE(tree_.join(100).standing == Standing::member);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      change();
      if (below(3) == 0) fail_some_looks();
      check();
      if (below(12) == 0) {
        show_who_is_there();
        const bool collected = tree_.registry.collect_now();
        if (collected) note("collected", 0);
        collected_ += collected ? 1 : 0;
      }
      tree_.proc.heal();
      check();
    }
  }

  std::uint32_t sealed_ = 0;
  std::uint32_t collected_ = 0;
  std::uint32_t foreign_ = 0;

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  // A task of the tree that has memory; 0 if there is none.
  pid_t any_task() {
    std::vector<pid_t> found;
    for (const auto& [id, task] : tree_.proc.tasks) {
      if (id != 1 && task.memory != nullptr) found.push_back(id);
    }
    return found.empty() ? 0 : found[below(static_cast<std::uint32_t>(found.size()))];
  }
  pid_t free_number() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      const auto id = static_cast<pid_t>(100 + below(14));
      if (!tree_.proc.tasks.contains(id)) return id;
    }
    return 0;
  }
  bool is_whole(pid_t id) const {
    const auto& task = tree_.proc.tasks.at(id);
    return task.leader == id && std::ranges::count_if(tree_.proc.tasks, [&](const auto& other) {
                                  return other.second.leader == id;
                                }) == 1;
  }
  // Fork from a thread: the child's memory is that of the thread's process.
  void bear(pid_t parent, pid_t child, bool shared) {
    auto& proc = tree_.proc;
    note(shared ? "share" : "fork", parent, child);
    if (shared) {
      proc.share(parent, child, tick_);
    } else {
      proc.fork(parent, child, tick_);
    }
  }

  void change() {
    auto& proc = tree_.proc;
    if (below(3) == 0) ++tick_;
    tree_.at_tick(tick_);
    const pid_t id = any_task();
    if (id == 0) return;
    const pid_t born = free_number();
    switch (below(10)) {
      case 0:
      case 1:
        if (born != 0) bear(id, born, false);
        break;
      case 2:
        if (born != 0) bear(id, born, true);
        break;
      case 3:
        if (born == 0 || proc.tasks.at(id).leader != id) break;
        note("thread", id, born);
        proc.thread(id, born);
        break;
      case 4:
        if (!is_whole(id)) break;
        note("exec", id);
        proc.exec(id, same_addresses_ ? 1 : ++images_);
        break;
      case 5:
        note("exit", id);
        if (is_whole(id)) {
          proc.exit(id);
        } else if (proc.tasks.at(id).leader == id) {
          proc.end_leader(id);
        } else {
          const pid_t leader = proc.tasks.at(id).leader;
          proc.exit(id);
          if (is_whole(leader) && proc.tasks.at(leader).memory == nullptr) proc.exit(leader);
        }
        break;
      case 6:
        proc.tasks.at(id).readable = below(3) != 0;
        break;
      default:
        seal(id, below(2) == 0);
    }
  }

  void seal(pid_t id, bool by_filter) {
    auto& proc = tree_.proc;
    if (next_ == kMostSeals) return;
    if (below(4) == 0) fail_some_looks();
    show_who_is_there();
    const Caller caller = tree_.registry.look_up(id);
    if (caller.foreign() && caller.identity.readable()) {
      (void)tree_.join(id);
      note("image of", id);
    }
    const pid_t leader = proc.tasks.at(id).leader;
    const long result = by_filter && leader == id ? tree_.seal_by_filter(id, next_) : tree_.seal(id, next_);
    if (result == 0) {
      note(by_filter ? "filter" : "seal", id, next_);
      proc.tasks.at(id).memory->sealed.insert(next_++);
      ++sealed_;
    }
    proc.heal();
  }

  void fail_some_looks() {
    auto& proc = tree_.proc;
    for (auto* faults : {&proc.stat_faults, &proc.status_faults, &proc.thread_faults}) {
      if (const pid_t id = any_task(); id != 0 && below(2) == 0)
        (*faults)[below(2) == 0 ? id : proc.tasks.at(id).leader] =
            below(2) == 0 ? Fault::unknown : Fault::gone;
    }
    proc.nothing_held = below(4) == 0;
    if (proc.nothing_held) note("nothing held", 0);
    if (proc.no_memory_held) note("no memory held", 0);
    proc.no_memory_held = below(4) == 0;
    proc.held_unreadable = below(6) == 0;
    proc.list_unknown = below(6) == 0;
    proc.births_unknown = below(6) == 0;
    proc.births_moving = below(6) == 0;
    proc.sharers_unknown = below(6) == 0;
  }

  // Whoever looks for others takes it for true if they are gone.
  void show_who_is_there() {
    for (auto* faults : {&tree_.proc.stat_faults, &tree_.proc.status_faults, &tree_.proc.thread_faults}) {
      for (auto& [id, fault] : *faults) fault = Fault::unknown;
    }
  }

  void check() {
    const Seals all = numbers_of(tree_.registry.all_seals());
    for (const auto& [id, task] : tree_.proc.tasks) {
      if (id == 1 || task.memory == nullptr) continue;
      const Seals& must = task.memory->sealed;
      if (!holds(all, must)) FAIL("process " << id << " has what is not among all seals" << history_.str());
      const Caller caller = tree_.registry.look_up(id);
      foreign_ += caller.foreign() ? 1 : 0;
      if (caller.foreign() && must.empty()) continue;
      const Seals has = seals_in(caller);
      if (!holds(has, must)) {
        std::string numbers;
        for (const int one : must) numbers += (has.contains(one) ? " " : " -") + std::to_string(one);
        FAIL("process " << id << (caller.foreign() ? " is foreign" : "") << ", has" << numbers
                        << history_.str());
      }
    }
  }

  void note(const char* what, pid_t one, pid_t other = 0) {
    history_ << "\n" << tick_ << ": " << what << ' ' << one;
    if (other != 0) history_ << ' ' << other;
  }

  std::mt19937 random_;
  std::ostringstream history_;
  Tree tree_;
  bool same_addresses_ = false;
  std::uint64_t tick_ = 0;
  std::uint64_t images_ = 1;
  int next_ = 1;
};

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint32_t kSeeds = 12;  // which takes a minute
#else
constexpr std::uint32_t kSeeds = 50;  // 6,000 have been run
#endif

TEST_CASE("whatever happens, and whatever fails: nobody lacks a seal that it has") {
  std::uint32_t sealed = 0;
  std::uint32_t collected = 0;
  std::uint32_t foreign = 0;
  for (std::uint32_t seed = 1; seed <= kSeeds; ++seed) {
    INFO("seed " << seed);
    Chaos chaos(seed);
    chaos.run(150);
    sealed += chaos.sealed_;
    collected += chaos.collected_;
    foreign += chaos.foreign_;
  }
  CHECK(sealed > 20 * kSeeds);
  CHECK(collected > 2 * kSeeds);
  CHECK(foreign > 20 * kSeeds);
}

}  // namespace
}  // namespace libmseal::tests
