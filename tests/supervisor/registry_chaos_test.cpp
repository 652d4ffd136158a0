// Random processes, while looks fail: a caller gets all seals that it might have, never less, and is foreign
// only if that is proved.
#include <random>
#include <sstream>

#include "tests/supervisor/sealed_tree.h"
#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

// Random processes that fork, execute, share, end and seal, while looks fail: numbers come again, ticks are
// long, and addresses are the same for all or not. The model is what the kernel would know.
class Chaos {
 public:
  explicit Chaos(std::uint32_t seed) : random_(seed) {
    same_addresses_ = seed % 2 == 0;
    tree_.proc.first(1, 1000, 0);
    tree_.proc.tasks.at(1).filtered = false;
    tree_.proc.first(100, 1, 1).parent = 1;
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
        const bool collected = tree_.registry.forget_ended_now();
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
      return;
    }
    if (below(4) != 0) {
      proc.fork(parent, child, tick_);
    } else {
      note("which is a sibling", child);
      report_lineage(parent, true);
      proc.fork_sibling(parent, child, tick_);
    }
    if (below(8) != 0) return;
    note("and the first of a namespace", child);
    proc.tasks.at(child).first_of_namespace = true;
    proc.subreapers.insert(child);
  }
  // As the first filter does, before the call is made.
  void report_lineage(pid_t id, bool makes_sibling) {
    if (below(4) == 0) fail_some_looks();
    show_who_is_there();
    tree_.registry.note_lineage(id, makes_sibling);
    tree_.proc.heal();
  }

  void change() {
    auto& proc = tree_.proc;
    if (below(3) == 0) ++tick_;
    tree_.at_tick(tick_);
    const pid_t id = any_task();
    if (id == 0) return;
    const pid_t born = free_number();
    switch (below(11)) {
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
      case 7:
        note("adopts", id);
        report_lineage(id, false);
        proc.subreapers.insert(proc.tasks.at(id).leader);
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
    proc.forks_unknown = below(6) == 0;
    proc.forks_moving = below(6) == 0;
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
