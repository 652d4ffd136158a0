// What the supervisor forgets, and when.
#include "tests/supervisor/sealed_tree.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

TEST_CASE("nothing is forgotten without a proof") {
  struct Row {
    const char* what;
    void (*fail)(FakeProc&);
  };
  const Row rows[] = {
      {"hidepid, or no directory", [](FakeProc& proc) { proc.list_unknown = true; }},
      {"forks unknown", [](FakeProc& proc) { proc.forks_unknown = true; }},
      {"forks meanwhile", [](FakeProc& proc) { proc.forks_moving = true; }},
      {"processes born behind the list, with numbers that have come around",
       [](FakeProc& proc) {
         proc.after_list = [&proc] {
           if (proc.tasks.contains(300)) proc.fork(300, static_cast<pid_t>(proc.last_born) - 1, 20);
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
    CHECK_FALSE(tree.registry.forget_ended_now());
    tree.proc.heal();
    for (auto& [id, task] : tree.proc.tasks) task.readable = true;
    const pid_t caller = tree.proc.tasks.contains(301) ? 301 : tree.proc.tasks.contains(300) ? 300 : 401;
    CHECK(holds(tree.sealed(caller), {1, 2}));
    CHECK(tree.registry.forget_ended_now());
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
  CHECK(tree.registry.forget_ended_now());
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
    CHECK(tree.registry.forget_ended_now());
    CHECK(tree.sealed(101) == Seals{1});
    tree.proc.exit(101);
    CHECK(tree.registry.forget_ended_now());  // a zombie alone has nothing
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
  CHECK(tree.registry.forget_ended_now());
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
  CHECK(tree.registry.forget_ended_now());
  tree.at_tick(400);
  tree.proc.fork(100, 300, 400);
  CHECK(tree.sealed(300) == Seals{1, 2});
  tree.proc.exit(100);
  tree.proc.exit(300);
  CHECK(tree.registry.forget_ended_now());
  // Nobody is left, so a process with those addresses is proved to be another.
  tree.proc.first(500, 7, 500);
  tree.proc.tasks.at(500).forked = true;
  CHECK(tree.registry.look_up(500).foreign());
}

// A filter more does not tell the ended child's seal from the parent's next one.
TEST_CASE("what an ended child had sealed is not its later siblings'") {
  SealedTree tree;
  tree.add_child();
  REQUIRE(tree.seal_by_filter(200, 4) == 0);
  bool heir = false;
  SECTION("and nobody has it from that one") {}
  SECTION("but its own child has it") {
    heir = true;
    tree.proc.fork(200, 201, 11);
  }
  tree.proc.exit(200);
  REQUIRE(tree.seal_by_filter(100, 5) == 0);
  tree.at_tick(12);
  tree.proc.fork(100, 300, 12);
  if (heir) {
    CHECK(tree.sealed(201) == Seals{1, 2, 3, 4});
    tree.proc.fork(201, 301, 12);
    CHECK(holds(tree.sealed(301), {1, 2, 3, 4}));
  } else {
    CHECK(tree.sealed(300) == Seals{1, 2, 5});
  }
}

TEST_CASE("what children had sealed that ended soon after each other is not their later siblings'") {
  SealedTree tree;
  tree.at_tick(11);
  tree.proc.after_list = [&] { tree.proc.clock += kTick / 10; };  // a look takes its time
  for (const pid_t child : {101, 102, 103}) {
    tree.proc.fork(100, child, 11);
    REQUIRE(tree.seal_by_filter(child, child) == 0);
    tree.proc.exit(child);
  }
  REQUIRE(tree.seal_by_filter(100, 5) == 0);
  tree.at_tick(12);
  tree.proc.fork(100, 104, 12);
  CHECK(tree.sealed(104) == Seals{1, 2, 5});
}

TEST_CASE("looks at everybody take a small part of the time") {
  supervisor::InspectionBudget budget;
  std::uint64_t now = 1'000'000'000'000;
  const auto looks_within = [&](std::uint64_t time) {
    int looks = 0;
    for (const std::uint64_t end = now + time; now < end; now += kTick) {
      if (!budget.allows(now)) continue;
      ++looks;
      budget.spend(kTick);
    }
    return looks;
  };
  CHECK(looks_within(40 * kTick) == 40);  // some at once
  (void)looks_within(40 * kTick);
  const int looks = looks_within(1000 * kTick);
  CHECK((looks >= 95 && looks <= 105));
}

TEST_CASE("without a clock, looks are not held back") {
  supervisor::InspectionBudget budget;
  for (int look = 0; look < 1000; ++look) {
    CHECK(budget.allows(0));
    budget.spend(0);
  }
}

// At tick 100, long after the last look, so that everybody is inspected. Child 201 was born just before.
TEST_CASE("an inspection of everybody is repeated if IDs may have wrapped around meanwhile") {
  SealedTree tree;
  tree.at_tick(100);
  tree.proc.fork(100, 201, 100);
  int pauses = 0;
  tree.proc.after_list = [&] {
    if (pauses++ < 2) tree.proc.clock += 10 * kTick;  // 0.1 s: the supervisor did not run
  };
  REQUIRE(tree.seal(100, 4) == 0);
  CHECK(pauses > 2);
  tree.proc.after_list = nullptr;
  CHECK(tree.sealed(201) == Seals{1, 2});
}

TEST_CASE("an inspection of everybody ends while processes are born all the time") {
  SealedTree tree;
  tree.at_tick(100);
  tree.proc.fork(100, 201, 100);
  int next = 202;
  tree.proc.after_list = [&] { tree.proc.fork(100, next++, 100); };
  REQUIRE(tree.seal(100, 4) == 0);
  CHECK(next < 210);
  tree.proc.after_list = nullptr;
  CHECK(tree.sealed(201) == Seals{1, 2});
}

TEST_CASE("a child that is born at the last moment of its parent has what that had") {
  for (int moment = 1; moment <= 6; ++moment) {  // of the look at who was born
    INFO(moment);
    SealedTree tree;
    tree.add_child();
    int asked = 0;
    tree.proc.after_fork_sample = [&] {
      if (++asked != moment) return;
      tree.proc.fork(200, 201, 11);
      tree.proc.exit(200);
    };
    REQUIRE(tree.seal(100, 4) == 0);
    tree.proc.after_fork_sample = nullptr;
    if (asked < moment) continue;
    CHECK(holds(tree.sealed(201), {1, 2, 3}));
    tree.proc.exit(201);
  }
}

// Its number was given before others were looked at, and nobody had it then.
TEST_CASE("a child that was being born when others were looked at has what its parent had") {
  SealedTree tree;
  tree.add_child();
  tree.proc.last_born = 201;
  REQUIRE(tree.seal(100, 4) == 0);
  tree.proc.fork(200, 201, 11);
  tree.proc.exit(200);
  SECTION("and nobody was born since") {}
  SECTION("and another was born since") {
    tree.proc.fork(100, 202, 11);
  }
  REQUIRE(tree.seal(100, 5) == 0);
  CHECK(holds(tree.sealed(201), {1, 2, 3}));
}

TEST_CASE("a child that was being born when all were listed has what its parent had") {
  SealedTree tree;
  tree.add_child();
  tree.proc.last_born = 201;
  tree.proc.after_list = [&] {
    if (!tree.proc.tasks.contains(200)) return;
    tree.proc.fork(200, 201, 11);
    tree.proc.exit(200);
  };
  SECTION("for a collection") {
    CHECK(tree.registry.forget_ended_now());
  }
  SECTION("for a collection, and it is the last one of its image") {
    tree.proc.exit(100);
    CHECK(tree.registry.forget_ended_now());
  }
  SECTION("for a seal") {
    tree.at_tick(100);
    CHECK(tree.seal(100, 4) == 0);
    CHECK(tree.seal(100, 5) == 0);
  }
  CHECK(holds(tree.sealed(201), {1, 2, 3}));
}

TEST_CASE("who has the number of one that has ended, from the same tick, is not forgotten with that one") {
  SealedTree tree;
  tree.add_child();
  tree.proc.fork(200, 201, 11);
  tree.proc.exit(200);
  tree.proc.fork(201, 200, 11);
  tree.proc.exit(201);
  REQUIRE(tree.seal(100, 4) == 0);
  CHECK(holds(tree.sealed(200), {1, 2, 3}));
}

TEST_CASE("nobody is forgotten where /proc hides processes") {
  SealedTree tree;
  tree.add_child();
  tree.proc.fork(200, 201, 11);
  tree.proc.exit(200);
  tree.proc.list_unknown = true;
  tree.proc.stat_faults[201] = Fault::gone;
  REQUIRE(tree.seal(100, 4) == 0);
  tree.proc.heal();
  CHECK(holds(tree.sealed(201), {1, 2, 3}));
}

TEST_CASE("collections are rare, and rarer when nothing could be proved") {
  SealedTree tree;
  CHECK_FALSE(tree.registry.forget_ended_if_due());
  const auto make_many = [&](pid_t from, int count) {
    for (pid_t child = from; child < from + count; ++child) {
      tree.proc.fork(100, child, 10);
      (void)tree.registry.look_up(child);
    }
  };
  make_many(1000, 200);
  tree.proc.list_unknown = true;
  CHECK_FALSE(tree.registry.forget_ended_if_due());
  tree.proc.heal();
  CHECK_FALSE(tree.registry.forget_ended_if_due());  // not at once again
  CHECK_FALSE(tree.registry.wants_to_forget());
  make_many(2000, 100);
  CHECK(tree.registry.forget_ended_if_due());
  CHECK_FALSE(tree.registry.forget_ended_if_due());
  // When there is nothing else to do, a little earlier.
  make_many(3000, 100);
  CHECK_FALSE(tree.registry.forget_ended_if_due());
  CHECK(tree.registry.wants_to_forget());
  CHECK(tree.registry.forget_ended_if_due(true));
  CHECK_FALSE(tree.registry.wants_to_forget());
}

}  // namespace
}  // namespace libmseal::tests
