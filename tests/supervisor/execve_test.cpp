// An image that was executed has no seals of the one before: but only if that is proved.
#include <fcntl.h>

#include <utility>
#include <vector>

#include "shim/preload/supervisor/table_reader.h"
#include "tests/supervisor/sealed_tree.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

// ---- execve ----

// As the processes of the image read them.
std::vector<Range> fences_in(const TableFile& table) {
  const void* memory = nullptr;
  REQUIRE(shim::map_table(::fcntl(table.descriptor(), F_DUPFD_CLOEXEC, 0), memory) == 0);
  const auto fences = shim::table_fences(memory);
  const std::vector<Range> copied(fences.begin(), fences.end());
  shim::unmap_table(memory);
  return copied;
}
std::vector<Range> fences_of(const Caller& caller) {
  return fences_in(*caller.image->table);
}

TEST_CASE("an executed image is foreign, has no seals, and is fenced off from inherited filters") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.at_tick(20);
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  SECTION("of a process that was seen before") {
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
  REQUIRE(add(tree.registry, caller, {place(1)}, false) == 0);  // at its start
  tree.proc.exit(200);                                          // with it, the first memory
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
  for (int number = 3; number < 6; ++number) REQUIRE(add(tree.registry, caller, {place(number)}, true) == 0);
  CHECK(tree.proc.looks == 1);
  // Not so later.
  REQUIRE(begin_sealing(tree.registry, caller) == Sharing::alone);
  tree.proc.tasks.at(200).filters = 4;
  REQUIRE(add(tree.registry, caller, {place(6)}, true) == 0);
  tree.proc.fork(200, 300, 10).filters = 3;  // before that
  CHECK(tree.sealed(300) == Seals{3, 4, 5});
}

TEST_CASE("a filter that a process tells of, and has not installed, is none") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  const Caller child = tree.registry.look_up(200);
  CHECK(add(tree.registry, child, {place(3)}, true) == -EPERM);  // it has not even asked
  REQUIRE(begin_sealing(tree.registry, child) == Sharing::alone);
  CHECK(add(tree.registry, child, {place(3)}, true) == -EPERM);
  ++tree.proc.tasks.at(200).filters;
  CHECK(add(tree.registry, child, {place(3)}, true) == 0);
  CHECK(add(tree.registry, child, {place(4)}, true) == 0);  // of the same filter
  REQUIRE(begin_sealing(tree.registry, tree.registry.look_up(200)) == Sharing::alone);
  CHECK(add(tree.registry, child, {place(5)}, true) == -EPERM);
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

TEST_CASE("a process that hides its memory when it is known goes on sealing") {
  SealedTree tree;
  tree.proc.tasks.at(100).readable = false;
  tree.proc.no_memory_held = true;
  CHECK(tree.seal(100, 3) == 0);
  CHECK(tree.seal(100, 4) == 0);
  CHECK(tree.seal_by_filter(100, 5) == 0);
  CHECK(tree.sealed(100) == Seals{1, 2, 3, 4, 5});
  SECTION("until it calls execve") {
    tree.proc.exec(100, 7);
    tree.proc.tasks.at(100).readable = false;
    CHECK(tree.seal(100, 6) == -EPERM);
  }
}

TEST_CASE("fences outlive the images that they come from") {
  SealedTree tree;
  tree.proc.exec(100, 8);
  REQUIRE(tree.join(100).standing == Standing::member);
  tree.at_tick(20);
  REQUIRE(tree.seal_by_filter(100, 3) == 0);
  CHECK(tree.registry.forget_ended_now());  // the first image is gone
  tree.proc.exec(100, 9);                   // a program without the library
  CHECK(tree.registry.forget_ended_now());  // so is the second
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
  CHECK(tree.registry.forget_ended_now());
  CHECK(fences_of(tree.join(200)) == std::vector<Range>{place(2)});
  tree.proc.exit(200);
  CHECK(tree.registry.forget_ended_now());
  CHECK(fences_of(tree.join(201)).empty());
}

TEST_CASE("a process with too few filters has no fences of images that have ended") {
  SealedTree tree;
  tree.proc.fork(100, 200, 10);
  tree.proc.exec(200, 8);
  REQUIRE(tree.join(200).standing == Standing::member);
  tree.at_tick(20);
  REQUIRE(tree.seal_by_filter(200, 3) == 0);
  tree.proc.fork(200, 300, 21);
  tree.proc.exec(300, 9);
  CHECK(fences_of(tree.join(300)) == std::vector<Range>{place(2), place(3)});
  tree.proc.fork(300, 400, 22);  // it has all of these filters
  tree.proc.exec(400, 10);
  tree.proc.exit(300);
  tree.proc.exit(200);
  CHECK(tree.registry.forget_ended_now());
  tree.at_tick(30);
  tree.proc.fork(100, 500, 30);
  tree.proc.exec(500, 11);
  CHECK(fences_of(tree.join(500)) == std::vector<Range>{place(2)});
  CHECK(fences_of(tree.join(400)) == std::vector<Range>{place(2), place(3)});
}

// 200 and 210 run images of their own, which have sealed 3 and 4 by a filter. 210 has ended.
struct TreeOfTwo : SealedTree {
  TreeOfTwo() {
    for (const auto& [process, number] : {std::pair(200, 3), std::pair(210, 4)}) {
      proc.fork(100, process, 10);
      proc.exec(process, static_cast<std::uint64_t>(process));
      REQUIRE(join(process).standing == Standing::member);
      REQUIRE(seal_by_filter(process, number) == 0);
    }
    at_tick(20);
  }
  std::vector<Range> fences_of_started(pid_t process) {
    proc.exec(process, 50);
    return fences_of(join(process));
  }
};

TEST_CASE("fences are those of ancestors, and not of others with as many filters") {
  const std::vector<Range> of_200{place(2), place(3)};
  const bool forgotten = GENERATE(false, true);
  TreeOfTwo tree;
  const auto collect = [&] {
    if (!forgotten) return;
    tree.proc.exit(210);
    CHECK(tree.registry.forget_ended_now());
  };
  SECTION("of a member's child") {
    tree.proc.fork(200, 300, 20);
    collect();
    CHECK(tree.fences_of_started(300) == of_200);
  }
  SECTION("of a child's child") {
    tree.proc.fork(200, 300, 20);
    tree.proc.fork(300, 400, 20);
    collect();
    CHECK(tree.fences_of_started(400) == of_200);
  }
  SECTION("of the child of a program without the library") {
    tree.proc.fork(200, 300, 20);
    tree.proc.exec(300, 9);
    tree.proc.fork(300, 400, 20);
    collect();
    CHECK(tree.fences_of_started(400) == of_200);
  }
  SECTION("of the child of a member that has called execve since") {
    tree.proc.fork(200, 300, 20);
    tree.proc.exec(200, 9);
    collect();
    CHECK(tree.fences_of_started(300) == of_200);
    CHECK(tree.fences_of_started(200) == of_200);
  }
  SECTION("not what the parent has sealed since") {
    tree.proc.fork(200, 300, 20);
    REQUIRE(tree.seal_by_filter(200, 5) == 0);
    collect();
    CHECK(tree.fences_of_started(300) == of_200);
  }
  SECTION("but those of everybody, if it is not certain who forked it") {
    tree.proc.fork(200, 300, 20);
    const bool adopted = GENERATE(false, true);
    if (adopted) tree.registry.note_subreaper({200, 10});
    if (!adopted) tree.proc.exit(200);
    CHECK(tree.fences_of_started(300) == std::vector<Range>{place(2), place(3), place(4)});
  }
}

TEST_CASE("of images that have ended, the ranges that were seen last are remembered") {
  constexpr int kImages = 1100;
  constexpr int kRemembered = 1024;
  constexpr int kFirst = 10;  // the number of the first image's seal
  SealedTree tree;
  tree.registry.note_unknown_lineage();
  tree.proc.fork(100, 150, 10);
  tree.proc.exec(150, 9);  // without the library; it may have every filter
  tree.proc.tasks.at(150).filters = 1000;
  for (int image = 0; image < kImages; ++image) {
    tree.proc.fork(100, 200, 10);
    tree.proc.exec(200, static_cast<std::uint64_t>(1000 + image));
    REQUIRE(tree.join(200).standing == Standing::member);
    REQUIRE(tree.seal_by_filter(200, kFirst + image) == 0);
    tree.proc.exit(200);
    if (image % 100 == 99) CHECK(tree.registry.forget_ended_now());
  }
  tree.proc.fork(150, 160, 30);
  tree.proc.exec(160, 50);
  const std::vector<Range> fences = fences_of(tree.join(160));
  REQUIRE(fences.size() == kRemembered + 1);
  CHECK(fences[0] == place(2));  // of an image that is there
  CHECK(fences[1] == place(kFirst + kImages - kRemembered));
  CHECK(fences.back() == place(kFirst + kImages - 1));
}

TEST_CASE("of too many inherited ranges, the highest become fences") {
  SealedTree tree;
  Caller caller = tree.registry.look_up(100);
  REQUIRE(begin_sealing(tree.registry, caller) == Sharing::alone);
  ++tree.proc.tasks.at(100).filters;
  std::vector<Seal> seals;
  for (int number = 3; seals.size() < shim::kMostFences + 10; ++number) seals.push_back({place(number)});
  caller = tree.registry.look_up(100);
  REQUIRE(tree.registry.add(caller, seals, true) == 0);
  tree.proc.fork(100, 200, 20);
  tree.proc.exec(200, 8);
  const std::vector<Range> fences = fences_of(tree.join(200));
  CHECK(fences.size() == shim::kMostFences);
  CHECK(fences.back() == seals.back().range);
}

TEST_CASE("a table takes as many fences as it has room for") {
  TableFile table;
  std::vector<supervisor::Fence> fences(shim::kMostFences + 1);
  for (std::size_t index = 0; index < fences.size(); ++index)
    fences[index].range = place(static_cast<int>(index));
  table.add_fences(fences);
  CHECK(fences_in(table).size() == shim::kMostFences);
  table.add_fences(fences);
  CHECK(fences_in(table).size() == shim::kMostFences);
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
      {"forks and processes unknown", [](FakeProc& proc) { proc.forks_unknown = proc.list_unknown = true; }},
  };
  for (const Row& row : rows) {
    for (const bool seen : {false, true}) {
      for (const pid_t task : {200, 201}) {
        SealedTree tree;
        tree.proc.fork(100, 200, 10);
        tree.proc.thread(200, 201);
        if (seen) CHECK(tree.sealed(201) == Seals{1, 2});
        row.fail(tree.proc);
        if (tree.proc.tasks.at(task).memory == nullptr) continue;  // it makes no calls
        INFO(row.what << (seen ? ", seen before" : "") << ", task " << task);
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
  SECTION("seen before") {
    CHECK(tree.sealed(200) == Seals{1, 2});
  }
  SECTION("not seen") {}
  tree.proc.exec(200, 8);
  for (const bool readable : {false, true}) {  // mode 0111, or another user
    tree.proc.tasks.at(200).readable = readable;
    CHECK(tree.registry.look_up(200).foreign());
    CHECK(tree.registry.forget_ended_now());
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
  SECTION("seen by its own call") {
    CHECK(holds(tree.sealed(task), {1, 2}));
    CHECK(tree.seal(task, 6) == -EPERM);  // it may be a fork of a program without the library
    CHECK(tree.sealed(100) == Seals{1, 2});
    CHECK(tree.sealed(500) == Seals{5});
  }
  SECTION("seen by a collection") {
    CHECK(tree.registry.forget_ended_now());
  }
  SECTION("seen when another seals") {
    CHECK(tree.seal(100, 7) == 0);
  }
  tree.proc.exit(100);
  tree.proc.exit(500);
  CHECK(tree.registry.forget_ended_now());
  CHECK(holds(tree.sealed(task), {1, 2}));
  tree.proc.tasks.at(task).readable = true;
  CHECK(holds(tree.sealed(task), {1, 2}));
  tree.proc.exit(300);
  tree.proc.exit(301);
  CHECK(tree.registry.forget_ended_now());
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
  const bool held = GENERATE(true, false);
  const bool parent_is_forgotten = GENERATE(false, true);
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
  if (parent_is_forgotten) {  // its child is registered first
    tree.proc.exit(200);
    CHECK(tree.registry.forget_ended_now());
  }
  CHECK(holds(tree.sealed(300), {1, 2, 3}));
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

}  // namespace
}  // namespace libmseal::tests
