#include "shim/supervisor/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>
#include <string_view>

#include "policy/mm_call.h"
#include "shim/common/machine.h"
#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::supervisor {
namespace {

std::string path_of(pid_t task, std::string_view file) {
  return "/proc/" + std::to_string(task) + "/" + std::string(file);
}

// A short file of /proc in one read; empty if there is none.
template <std::size_t Size>
std::string_view read_file(const std::string& path, std::array<char, Size>& buffer) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  const ssize_t got = read(file, buffer.data(), buffer.size());
  close(file);
  return got <= 0 ? std::string_view{} : std::string_view(buffer.data(), static_cast<std::size_t>(got));
}

template <class Number>
Number number_in(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string_view line_after(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at + key.size());
}

// Calls visit(number, value) for the fields of /proc/TASK/stat that come after the command; proc(5) counts
// from 1. The command, in parentheses, may hold anything: they are counted after the last one.
template <class Visit>
void for_each_stat_field(pid_t task, Visit visit) {
  std::array<char, 2048> buffer{};
  std::string_view text = read_file(path_of(task, "stat"), buffer);
  const std::size_t command = text.rfind(')');
  if (command == std::string_view::npos) return;
  text.remove_prefix(command + 1);
  for (int field = 3; !text.empty(); ++field) {
    text.remove_prefix(1);
    const std::size_t end = std::min(text.find(' '), text.size());
    visit(field, text.substr(0, end));
    text.remove_prefix(end);
  }
}

}  // namespace

namespace {

void note_identity(int field, std::string_view value, MmIdentity& identity) {
  switch (field) {
    case 26:
      identity.start_code = number_in<std::uint64_t>(value);
      break;
    case 28:
      identity.start_stack = number_in<std::uint64_t>(value);
      break;
    case 47:
      identity.start_brk = number_in<std::uint64_t>(value);
      break;
    case 48:
      identity.arg_start = number_in<std::uint64_t>(value);
      break;
    case 50:
      identity.env_start = number_in<std::uint64_t>(value);
      break;
    default:
      break;
  }
}

}  // namespace

MmIdentity identity_of(pid_t task) {
  MmIdentity identity;
  for_each_stat_field(task,
                      [&](int field, std::string_view value) { note_identity(field, value, identity); });
  return identity;
}

namespace {

// /proc/TASK/status would tell, but takes long: most tasks lead their group.
pid_t thread_group_of(pid_t task) {
  const long leader = shim::raw_syscall(__NR_pidfd_open, task, 0);
  if (shim::failed(leader)) return status_of(task).thread_group;
  close(static_cast<int>(leader));
  return task;
}

}  // namespace

Process process_of(pid_t task) {
  Process process{thread_group_of(task), 0};
  for_each_stat_field(process.id, [&](int field, std::string_view value) {
    if (field == 22) process.start_time = number_in<std::uint64_t>(value);
  });
  return process;
}

Image image_of(pid_t task) {
  constexpr std::uint64_t kForkedNoExec = 0x40;  // PF_FORKNOEXEC
  Image image{{thread_group_of(task), 0}, {}, false};
  if (image.process.id != task) image.memory = identity_of(task);
  for_each_stat_field(image.process.id, [&](int field, std::string_view value) {
    if (image.process.id == task) note_identity(field, value, image.memory);
    if (field == 9) image.forked = (number_in<std::uint64_t>(value) & kForkedNoExec) != 0;
    if (field == 22) image.process.start_time = number_in<std::uint64_t>(value);
  });
  return image;
}

// An open maps file belongs to the memory, not to the process: once that is gone, it is empty.
MemoryWatch::MemoryWatch(pid_t process)
    : maps_(open(path_of(process, "maps").c_str(), O_RDONLY | O_CLOEXEC)) {}

MemoryWatch::~MemoryWatch() {
  if (maps_ >= 0) close(maps_);
}

bool MemoryWatch::gone() const {
  char byte = 0;
  if (maps_ < 0) return false;
  const ssize_t got = pread(maps_, &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ESRCH);
}

std::uint64_t incarnation_of(pid_t process) {
  // The inode of /proc/PID: numbers are handed out in order, and a dead process's inode goes with it.
  struct stat directory {};
  return stat(path_of(process, "").c_str(), &directory) == 0 ? directory.st_ino : 0;
}

TaskStatus status_of(pid_t task) {
  std::array<char, 4096> buffer{};
  const std::string_view text = read_file(path_of(task, "status"), buffer);
  // The name is the first line and has its newlines escaped, so no key can be forged by it.
  return {number_in<pid_t>(line_after(text, "\nTgid:")), number_in<pid_t>(line_after(text, "\nPPid:")),
          number_in<int>(line_after(text, "\nSeccomp:")) != 0,
          text.find("\nVmSize:") != std::string_view::npos};
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> processes;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc"), closedir);
  if (!directory) return processes;
  while (const dirent* const entry = readdir(directory.get())) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
      processes.push_back(number_in<pid_t>(entry->d_name));
  }
  return processes;
}

Births births() {
  std::array<char, 128> buffer{};
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::string_view text = read_file("/proc/loadavg", buffer);
  const std::size_t last = text.rfind(' ');
  return {last == std::string_view::npos ? 0 : number_in<pid_t>(text.substr(last)),
          static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec)};
}

std::string program_of(pid_t process) {
  std::array<char, 4096> buffer{};
  const ssize_t got = readlink(path_of(process, "exe").c_str(), buffer.data(), buffer.size());
  return got <= 0 ? "pid " + std::to_string(process)
                  : std::string(buffer.data(), static_cast<std::size_t>(got));
}

bool have_one_memory(pid_t one, pid_t other) {
  const long compared = shim::raw_syscall(__NR_kcmp, one, other, KCMP_VM, 0, 0);
  return compared == 0 || (shim::failed(compared) && compared != -ESRCH);
}

Whereabouts whereabouts_of(pid_t task) {
  std::array<char, 256> buffer{};
  const std::string_view text = read_file(path_of(task, "syscall"), buffer);
  if (text.empty()) return status_of(task).thread_group == 0 ? Whereabouts::gone : Whereabouts::running;
  if (text.front() == '-') return Whereabouts::asleep;  // outside of any call: a page fault, say
  if (text.front() < '0' || text.front() > '9') return Whereabouts::running;
  const policy::Machine machine = shim::this_machine();
  return policy::changes_memory(machine, number_in<std::uint64_t>(text)) ? Whereabouts::in_call
                                                                         : Whereabouts::asleep;
}

std::uint64_t running_time_of(pid_t task) {
  std::array<char, 128> buffer{};
  const std::string_view text = read_file(path_of(task, "schedstat"), buffer);
  return text.empty() ? ~0ULL : number_in<std::uint64_t>(text);
}

std::vector<OwnedVma> maps_of(pid_t task) {
  std::vector<OwnedVma> maps;
  const long read = shim::read_maps(path_of(task, "maps").c_str(), [&](const policy::Vma& vma) {
    maps.push_back({vma, std::string(vma.name)});
    maps.back().vma.name = {};
    return true;
  });
  if (read != 0) maps.clear();
  return maps;
}

}  // namespace libmseal::supervisor
