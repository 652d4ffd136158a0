#include "shim/supervisor/processes/proc.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "policy/parsers/mount_line.h"
#include "shim/common/line_reader.h"
#include "shim/common/machine.h"
#include "shim/supervisor/processes/descriptor_reserve.h"
#include "shim/supervisor/processes/fork_sampler.h"
#include "shim/supervisor/processes/held_files.h"
#include "shim/supervisor/processes/start_clock.h"
#include "shim/supervisor/processes/task_files.h"

namespace libmseal::supervisor {
namespace {

using shim::ProcPath;
using shim::ProcRoot;

class KernelProc final : public Proc {
 public:
  [[nodiscard]] const ProcRoot& root() const { return root_; }

  long open(const ProcPath& path) override {
    return files_.inspect(shim::leading_number(path.text()), [&] { return root_.open(path); });
  }

  long open_descriptor(pid_t task, int number) override {
    return files_.inspect(task, [&]() -> long {
      const long folder = root_.open(ProcPath(task, "fd"), O_PATH | O_DIRECTORY);
      if (shim::failed(folder)) return folder == -ENOENT ? -ESRCH : folder;
      const long file = openat(static_cast<int>(folder), std::to_string(number).c_str(), O_PATH | O_CLOEXEC);
      const long error = -errno;
      close(static_cast<int>(folder));
      return file < 0 ? error : file;
    });
  }

  std::string path_of_program(pid_t process) override {
    std::array<char, 4096> path{};
    const long size = files_.inspect(process, [&]() -> long {
      const long link = root_.open(ProcPath(process, "exe"), O_PATH | O_NOFOLLOW);
      if (shim::failed(link)) return link;
      const ssize_t got = readlinkat(static_cast<int>(link), "", path.data(), path.size());
      const long error = -errno;
      close(static_cast<int>(link));
      return got < 0 ? error : got;
    });
    return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }

  ReadResult<policy::StatLine> stat(pid_t task) override {
    return files_.inspect(task, [&] {
      policy::StatLine line;
      const long result = shim::read_stat(root_, task, line);
      return read_result(result, line);
    });
  }

  ReadResult<shim::TaskStatus> status(pid_t task) override {
    shim::TaskStatus status;
    const long result = shim::read_status(root_, task, status);
    return read_result(result, status);
  }

  std::unique_ptr<HeldTask> hold(pid_t task) override {
    return held<HeldStat>(root_.open(ProcPath(task, "stat")), files_, task);
  }

  std::unique_ptr<HeldMemory> hold_memory(pid_t task) override {
    return held<HeldMaps>(open(ProcPath(task, "maps")));
  }

  ReadResult<std::vector<pid_t>> processes() override {
    // The first thread is always listed.
    policy::StatLine first;
    if (shim::read_stat(root_, 1, first) != 0 || may_hide_some())
      return ReadResult<std::vector<pid_t>>::unknown();
    const auto listed = numbers_in(ProcPath("."));
    return listed.is_seen() ? listed : ReadResult<std::vector<pid_t>>::unknown();
  }

  // Where a listed thread ends, the kernel's list ends, or goes on behind others (fs/proc/base.c, next_tid,
  // first_tid). It is complete if it is the same before and after a moment, and as long as the kernel's count
  // at that moment.
  ReadResult<std::vector<pid_t>> threads(pid_t process) override {
    constexpr int kTries = 50;
    const shim::Deadline deadline(20);
    auto listed = numbers_in(ProcPath(process, "task"));
    for (int tries = 0; tries < kTries && listed.is_seen() && !deadline.passed(); ++tries) {
      const auto first = stat(process);
      auto again = numbers_in(ProcPath(process, "task"));
      if (!again.is_seen()) return again;
      if (first.is_seen() && first->threads == listed->size() && listed.is(*again)) return again;
      listed = std::move(again);
    }
    return listed.is_seen() ? ReadResult<std::vector<pid_t>>::unknown() : listed;
  }

  pid_t newest_id() override { return fork_sampler_.newest_id(); }
  shim::ForkSample sample_forks() override { return fork_sampler_.so_far(); }
  shim::ForkSample sample_forks_since(const shim::ForkSample& before) override {
    return fork_sampler_.since(before);
  }

  std::uint64_t pid_max() override { return shim::pid_max(root_); }

  shim::Sharing sharers(pid_t process, pid_t task, const shim::ForkSample& since, const shim::ForkSample& now,
                        const FirstProcess& first, std::vector<pid_t>& found) override {
    const auto sample = [&] { return sample_forks(); };
    const auto is_other = [&](long other, const shim::TaskStatus&) {
      return has_other_memory(root_, first, task, other);
    };
    // A sharer that was created before the first filter may have another user.
    const long only_user = first.filtered_from_start ? only_user_ : -1;
    shim::SharerSearch search(root_, process, task, only_user, is_other);
    return search.run(since, now, pid_max(), sample, [&](long sharer) {
      found.push_back(static_cast<pid_t>(sharer));
      return true;
    });
  }

  // kcmp reports that two tasks without memory share it (kernel/kcmp.c).
  bool share_mm(pid_t one, pid_t other) override {
    if (shim::compare_memory(one, other) != 0) return false;
    const auto after = stat(one);
    return after.is_seen() && after->size != 0;
  }

  bool is_short_of_files() override {
    const int free = fcntl(static_cast<int>(root_.descriptor()), F_DUPFD_CLOEXEC, 0);
    if (free < 0) return true;
    close(free);
    return is_one_of_last(free, kKeptByHolding);
  }

  ReadResult<policy::Whereabouts> whereabouts(pid_t task) override {
    char text[256];
    const long got = files_.inspect(task, [&] { return root_.read(ProcPath(task, "syscall"), text); });
    if (got < 0) {
      // The files of a first thread that has ended before the others belong to root (fs/proc/base.c,
      // task_dump_owner).
      return read_result(has_ended(*this, task) ? 0 : got, policy::Whereabouts::elsewhere);
    }
    const auto where =
        policy::parse_syscall_line(shim::this_machine(), {text, static_cast<std::size_t>(got)});
    return where ? ReadResult<policy::Whereabouts>::seen(*where) : ReadResult<policy::Whereabouts>::unknown();
  }

  bool may_be_in_tree(const shim::TaskStatus& status) override {
    return only_user_ < 0 || status.user < 0 || status.user == only_user_;
  }

  std::uint64_t now() override { return clock_.now(); }

 private:
  // The user that all processes of the tree have; -1: they may change. This process has the user and the
  // capabilities of the tree's first program. Without CAP_SYS_ADMIN that had to set no_new_privs, so that no
  // program gains any.
  [[nodiscard]] long only_user() const {
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    if (getresuid(&real, &effective, &saved) != 0 || real != effective || real != saved) return -1;
    constexpr std::uint64_t kMayChange = std::uint64_t{1} << CAP_SETUID | std::uint64_t{1} << CAP_SYS_ADMIN;
    return (files_.capabilities("CapPrm:\t") & kMayChange) == 0 ? static_cast<long>(real) : -1;
  }
  // With hidepid= a process of another user, or one that is not dumpable, seems not to exist.
  [[nodiscard]] bool may_hide_some() const {
    bool shown = false;
    bool hides = false;
    const long read = shim::read_lines(root_.open(ProcPath("self/mountinfo")), [&](std::string_view line) {
      shown = shown || policy::mounts_proc(line);
      hides = hides || policy::hides_processes(line);
      return true;
    });
    return read != 0 || !shown || (hides && !may_trace_all());
  }
  [[nodiscard]] bool may_trace_all() const {
    const std::uint64_t effective = files_.capabilities("CapEff:\t");
    return effective != ~0ULL && (effective >> CAP_SYS_PTRACE & 1) != 0;
  }
  ReadResult<std::vector<pid_t>> numbers_in(const ProcPath& path) {
    std::vector<pid_t> numbers;
    const long result = root_.list(path, [&](const char* name) -> long {
      if (name[0] >= '1' && name[0] <= '9') numbers.push_back(static_cast<pid_t>(shim::leading_number(name)));
      return 0;
    });
    return read_result(result, std::move(numbers));
  }

  TaskFiles files_;
  const ProcRoot& root_ = files_.root();
  ForkSampler fork_sampler_{root_};
  StartClock clock_{root_};
  long only_user_ = only_user();
};

}  // namespace

pid_t task_with_memory(Proc& proc, pid_t process) {
  const auto has_none = [&](pid_t task) {
    const auto stat = proc.stat(task);
    return stat.is_gone() || (stat.is_seen() && stat->size == 0);
  };
  if (!has_none(process)) return process;
  const auto threads = proc.threads(process);
  if (!threads.is_seen()) return process;
  const auto found = std::ranges::find_if_not(*threads, has_none);
  return found != threads->end() ? *found : process;
}

bool has_ended(Proc& proc, pid_t task) {
  const auto stat = proc.stat(task);
  return stat.is_gone() || (stat.is_seen() && stat->has_ended());
}

std::unique_ptr<Proc> open_proc(pid_t process, policy::Trouble& trouble) {
  auto proc = std::make_unique<KernelProc>();
  const auto stat = proc->stat(task_with_memory(*proc, process));
  if (shim::failed(proc->root().descriptor())) {
    trouble = policy::Trouble::no_proc;
  } else if (!stat.is_seen() && !stat.is_gone()) {  // /proc can't be read at all
    trouble = policy::Trouble::hidden_program;
  } else if (shim::check_own_namespace(proc->root()) != 0) {
    trouble = policy::Trouble::foreign_proc;
  } else if (!stat.is_seen() || stat->start_stack == 0) {
    trouble = policy::Trouble::hidden_program;
  } else {
    return proc;
  }
  return nullptr;
}

std::string program_of(Proc& proc, pid_t process) {
  const std::string path = proc.path_of_program(process);
  return path.empty() ? "pid " + std::to_string(process) : path;
}

pid_t parent_of(Proc& proc, pid_t process) {
  const auto stat = proc.stat(process);
  return stat.is_seen() ? static_cast<pid_t>(stat->parent) : 0;
}

}  // namespace libmseal::supervisor
