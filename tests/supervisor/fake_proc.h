// A /proc of made-up processes, whose looks can fail one by one.
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "shim/supervisor/processes/proc.h"

namespace libmseal::tests {

using supervisor::HeldMemory;
using supervisor::HeldTask;
using supervisor::ReadResult;

// How a look fails.
enum class Fault : std::uint8_t {
  none,
  unknown,  // EMFILE, EACCES, EIO, ...
  gone,     // ENOENT, ESRCH
};

// The memory of one execve, with the addresses that tell it apart.
struct FakeMemory {
  std::uint64_t id = 0;
  std::set<int> sealed{};  // what the kernel would know
};

class FakeProc final : public supervisor::Proc {
 public:
  static constexpr long kStranger = 65534;  // whom no process of the tree can be

  struct Task {
    pid_t id = 0;
    pid_t leader = 0;
    pid_t parent = 0;
    std::uint64_t start_time = 0;
    std::uint32_t filters = 0;
    bool filtered = true;
    bool readable = true;  // dumpable, and its file may be read
    bool forked = true;
    bool first_of_namespace = false;
    long user = 0;
    char state = 'S';
    std::shared_ptr<FakeMemory> memory;
    std::uint64_t serial = 0;  // no other task has it, whatever its number
  };

  // ---- what happens ----

  Task& first(pid_t id, std::uint64_t memory, std::uint64_t start_time = 1) {
    Task& task = born(id, start_time);
    task.memory = std::make_shared<FakeMemory>(FakeMemory{memory, {}});
    task.forked = false;
    return task;
  }
  // fork(2), in the tick `start_time`.
  Task& fork(pid_t parent, pid_t child, std::uint64_t start_time) {
    const Task from = tasks.at(parent);
    Task& task = born(child, start_time);
    task.memory = std::make_shared<FakeMemory>(*from.memory);
    task.parent = from.leader;
    task.filters = from.filters;
    task.readable = from.readable;
    return task;
  }
  // clone(CLONE_VM).
  Task& share(pid_t parent, pid_t child, std::uint64_t start_time) {
    Task& task = fork(parent, child, start_time);
    task.memory = tasks.at(parent).memory;
    return task;
  }
  Task& thread(pid_t leader, pid_t id) {
    const Task from = tasks.at(leader);
    Task& task = born(id, from.start_time + 1);
    task.leader = leader;
    task.parent = from.parent;
    task.memory = from.memory;
    task.filters = from.filters;
    return task;
  }
  void exec(pid_t id, std::uint64_t memory) {
    Task& task = tasks.at(id);
    task.memory = std::make_shared<FakeMemory>(FakeMemory{memory, {}});
    task.forked = false;
  }
  void exit(pid_t id) {
    const auto found = tasks.find(id);
    if (found == tasks.end()) return;
    const Task ended = found->second;
    tasks.erase(found);
    if (ended.leader != id) return;
    subreapers.erase(id);
    pid_t adopter = ended.parent;
    while (adopter != 1 && tasks.contains(adopter) && !subreapers.contains(adopter))
      adopter = tasks.at(adopter).parent;
    for (auto& [child, task] : tasks) {
      if (task.parent == id) task.parent = adopter;
    }
  }
  // clone(CLONE_PARENT).
  Task& fork_sibling(pid_t of, pid_t child, std::uint64_t start_time) {
    Task& task = fork(of, child, start_time);
    task.parent = tasks.at(of).parent;
    return task;
  }
  // The first thread ends while others go on.
  void end_leader(pid_t id) {
    tasks.at(id).memory = nullptr;
    tasks.at(id).state = 'Z';
  }

  // ---- how looks fail ----

  std::map<pid_t, Fault> stat_faults;
  std::map<pid_t, Fault> status_faults;
  std::map<pid_t, Fault> thread_faults;
  std::set<pid_t> not_held;
  bool nothing_held = false;
  bool hold_throws = false;
  bool no_memory_held = false;
  bool list_unknown = false;
  bool forks_unknown = false;
  bool forks_moving = false;
  bool forks_counted = false;
  bool sharers_unknown = false;
  bool held_unreadable = false;  // EMFILE is no matter for what is open, but EINTR or ENOMEM may be
  std::function<void()> after_list;
  std::function<void()> after_threads;      // were listed, of any process
  std::function<void()> after_fork_sample;  // were asked for

  void heal() {
    stat_faults.clear();
    status_faults.clear();
    thread_faults.clear();
    not_held.clear();
    nothing_held = hold_throws = no_memory_held = list_unknown = forks_unknown = forks_moving =
        sharers_unknown = held_unreadable = false;
    after_list = after_threads = after_fork_sample = nullptr;
  }

  std::map<pid_t, Task> tasks;
  std::set<pid_t> subreapers;  // PR_SET_CHILD_SUBREAPER
  std::uint64_t clock = 0;     // ns
  long last_born = 0;
  ReadResult<policy::Whereabouts> where =
      ReadResult<policy::Whereabouts>::seen(policy::Whereabouts::elsewhere);
  int looks = 0;                   // by number
  mutable int held_looks = 0;      // at what is held
  int lists = 0;                   // of all processes
  shim::ForkSample sharers_since;  // that were last asked for

  // ---- supervisor::Proc ----

  long open(const shim::ProcPath& /*path*/) override { return -ENOENT; }
  long open_descriptor(pid_t /*task*/, int /*number*/) override { return -ESRCH; }
  std::string path_of_program(pid_t /*process*/) override { return {}; }
  ReadResult<policy::StatLine> stat(pid_t task) override {
    ++looks;
    return look<policy::StatLine>(stat_faults, task, [&](const Task& one) { return line_of(one); });
  }
  ReadResult<shim::TaskStatus> status(pid_t task) override {
    ++looks;
    return look<shim::TaskStatus>(status_faults, task, [](const Task& one) {
      shim::TaskStatus status;
      status.thread_group = one.leader;
      status.user = one.user;
      status.filtered = one.filtered;
      status.filters = one.filters;
      status.peak = one.memory == nullptr ? -1 : 1;
      status.is_first_of_namespace = one.first_of_namespace;
      return status;
    });
  }
  bool may_be_in_tree(const shim::TaskStatus& status) override { return status.user != kStranger; }
  std::unique_ptr<HeldTask> hold(pid_t task) override {
    if (hold_throws) throw std::bad_alloc();
    const auto found = tasks.find(task);
    if (nothing_held || not_held.contains(task) || found == tasks.end()) return nullptr;
    return std::make_unique<Held>(*this, task, found->second.serial);
  }
  std::unique_ptr<HeldMemory> hold_memory(pid_t process) override {
    const auto found = tasks.find(process);
    if (no_memory_held || nothing_held || found == tasks.end()) return nullptr;
    return std::make_unique<HeldMaps>(found->second.memory);
  }
  ReadResult<std::vector<pid_t>> processes() override {
    ++lists;
    if (list_unknown) return ReadResult<std::vector<pid_t>>::unknown();
    std::vector<pid_t> found;
    for (const auto& [id, task] : tasks) {
      if (id == task.leader) found.push_back(id);
    }
    if (after_list) after_list();
    return ReadResult<std::vector<pid_t>>::seen(std::move(found));
  }
  ReadResult<std::vector<pid_t>> threads(pid_t process) override {
    const auto found = look<std::vector<pid_t>>(thread_faults, process, [&](const Task&) {
      std::vector<pid_t> listed;
      for (const auto& [id, task] : tasks) {
        if (task.leader == process) listed.push_back(id);
      }
      return listed;
    });
    if (after_threads) after_threads();
    return found;
  }
  std::uint64_t pid_max() override { return shim::ForkSample::kDefaultPidMax; }
  pid_t newest_id() override { return forks_unknown ? 0 : static_cast<pid_t>(last_born); }
  shim::ForkSample sample_forks() override {
    if (forks_moving) ++last_born;
    shim::ForkSample forks;
    forks.last = forks_unknown ? 0 : last_born;
    forks.time = clock;
    forks.count = forks_counted && !forks_unknown ? static_cast<std::uint64_t>(last_born) : 0;
    if (after_fork_sample) after_fork_sample();
    return forks;
  }
  shim::ForkSample sample_forks_since(const shim::ForkSample& /*before*/) override { return sample_forks(); }
  shim::Sharing sharers(pid_t process, pid_t, const shim::ForkSample& since, const shim::ForkSample&,
                        const supervisor::FirstProcess&, std::vector<pid_t>& found) override {
    sharers_since = since;
    if (sharers_unknown) return shim::Sharing::unknown;
    const auto& memory = memory_of(process);
    for (const auto& [id, task] : tasks) {
      if (task.leader != process && task.memory != nullptr && task.memory == memory) found.push_back(id);
    }
    if (!found.empty()) return shim::Sharing::shared;
    return shim::Sharing::alone;
  }
  bool share_mm(pid_t one, pid_t other) override {
    const auto first = tasks.find(one);
    const auto second = tasks.find(other);
    if (first == tasks.end() || second == tasks.end()) return false;
    return first->second.memory != nullptr && first->second.memory == second->second.memory;
  }
  ReadResult<policy::Whereabouts> whereabouts(pid_t /*task*/) override { return where; }
  std::uint64_t now() override { return clock; }

 private:
  class Held final : public HeldTask {
   public:
    Held(const FakeProc& proc, pid_t task, std::uint64_t serial)
        : proc_(proc), task_(task), serial_(serial) {}
    [[nodiscard]] ReadResult<policy::StatLine> stat() const override {
      ++proc_.held_looks;
      const auto found = proc_.tasks.find(task_);
      if (found == proc_.tasks.end() || found->second.serial != serial_)
        return ReadResult<policy::StatLine>::gone();
      if (proc_.held_unreadable) return ReadResult<policy::StatLine>::unknown();
      return ReadResult<policy::StatLine>::seen(proc_.line_of(found->second));
    }

   private:
    const FakeProc& proc_;
    pid_t task_;
    std::uint64_t serial_;
  };

  class HeldMaps final : public HeldMemory {
   public:
    explicit HeldMaps(std::weak_ptr<FakeMemory> memory) : memory_(std::move(memory)) {}
    [[nodiscard]] bool gone() const override { return memory_.expired(); }

   private:
    std::weak_ptr<FakeMemory> memory_;
  };

  Task& born(pid_t id, std::uint64_t start_time) {
    Task& task = tasks[id];
    task = Task{};
    task.id = task.leader = id;
    task.start_time = start_time;
    task.serial = ++serials_;
    last_born = id;
    return task;
  }

  const std::shared_ptr<FakeMemory>& memory_of(pid_t process) {
    for (const auto& [id, task] : tasks) {
      if (task.leader == process && task.memory != nullptr) return task.memory;
    }
    throw std::logic_error("no such process");
  }

  [[nodiscard]] policy::StatLine line_of(const Task& task) const {
    policy::StatLine line;
    line.state = task.state;
    line.flags = task.forked ? policy::kForkedNoExec : 0;
    line.parent = static_cast<std::uint64_t>(task.parent);
    line.start_time = task.start_time;
    line.size = task.memory == nullptr ? 0 : 1;
    for (const auto& [id, other] : tasks) line.threads += other.leader == task.leader ? 1 : 0;
    if (task.memory == nullptr || !task.readable) return line;
    const std::uint64_t base = task.memory->id << 32;
    line.start_code = base + 0x1000;
    line.start_brk = base + 0xA000;
    line.start_stack = base + 0xF000'0000;
    line.arg_start = base + 0xF000'1000;
    line.env_start = base + 0xF000'2000;
    return line;
  }

  template <class T, class Make>
  ReadResult<T> look(const std::map<pid_t, Fault>& faults, pid_t task, Make make) {
    const auto fault = faults.find(task);
    if (fault != faults.end() && fault->second == Fault::unknown) return ReadResult<T>::unknown();
    if (fault != faults.end() && fault->second == Fault::gone) return ReadResult<T>::gone();
    const auto found = tasks.find(task);
    return found == tasks.end() ? ReadResult<T>::gone() : ReadResult<T>::seen(make(found->second));
  }

  std::uint64_t serials_ = 0;
};

}  // namespace libmseal::tests
