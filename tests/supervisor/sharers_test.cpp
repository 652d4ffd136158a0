// Processes that share their memory share what is sealed in it.
#include "tests/supervisor/sealed_tree.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

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

TEST_CASE("a sharer that was seen before keeps what it has sealed, and gives it to the others") {
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
    CHECK(tree.registry.register_sharers(caller) == Sharing::unknown);
  }
  tree.proc.heal();
  tree.proc.sharers_unknown = true;
  CHECK(tree.seal(100, 3) == -EAGAIN);
}

TEST_CASE("a sharer that was not to be found yet when the seal was made has it when it is seen") {
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

TEST_CASE("a sharer whose first thread was seen without memory has the seals of the memory of its others") {
  SealedTree tree;
  tree.proc.share(100, 200, 10);
  tree.proc.thread(200, 201);
  tree.proc.end_leader(200);
  tree.proc.tasks.at(200).state = 'S';  // on its way out
  CHECK(tree.registry.look_up(200).hidden);
  tree.at_tick(20);
  const Caller sealer = tree.registry.look_up(100);
  tree.registry.begin_sealing(sealer);
  REQUIRE(add(tree.registry, sealer, {place(3)}, false) == 0);  // nobody has looked for sharers
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

TEST_CASE("after a late start only the first process is sure to have the first filter") {
  Tree tree;
  tree.proc.first(100, 0x1000);
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.registry.note_ran_before_filter(tree.registry.look_up(100).process);
  tree.proc.share(100, 200, 10);  // with filters, which may be others
  const Caller first = tree.registry.look_up(100);
  CHECK(begin_sealing(tree.registry, first) == Sharing::unknown);
  CHECK(begin_sealing(tree.registry, tree.registry.look_up(200)) == Sharing::shared);
  tree.proc.exit(200);
  CHECK(begin_sealing(tree.registry, first) == Sharing::alone);
}

TEST_CASE("after a late start nobody's parent tells from whom it was copied") {
  SealedTree tree;
  tree.registry.note_ran_before_filter(tree.registry.look_up(100).process);
  tree.add_child();
  tree.proc.fork(100, 300, 20);
  CHECK(tree.sealed(300) == Seals{1, 2, 3});
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
  CHECK(tree.registry.forget_ended_now());
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
  CHECK(tree.registry.forget_ended_now());
  CHECK(tree.sealed(100) == Seals{3});
  tree.proc.exec(100, 8);
  CHECK(tree.registry.look_up(100).foreign());
}

}  // namespace
}  // namespace libmseal::tests
