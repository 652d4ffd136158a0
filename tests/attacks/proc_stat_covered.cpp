// Covers /proc/PID/stat, by which the supervisor identifies a process, by that of another: for a process that
// it has met, and for a child that it has not met yet. It takes root.
#include <sys/mount.h>

#include <csignal>

#include "tests/attacks/attack.h"
#include "tests/support/waiting.h"

using namespace libmseal::tests;

namespace {

std::string folder_of(int process) {
  return "/proc/" + std::to_string(process);
}

int change_behind(const Victim& page, int other) {
  const auto change_page_behind = [&](const std::string& from, const std::string& over) {
    if (::mount(from.c_str(), over.c_str(), nullptr, MS_BIND, nullptr) != 0) return -static_cast<long>(errno);
    const long answer =
        raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    ::umount2(over.c_str(), MNT_DETACH);
    return answer;
  };
  const std::string own = folder_of(::getpid());
  const long by_stat = change_page_behind(folder_of(other) + "/stat", own + "/stat");
  const long by_folder = change_page_behind(folder_of(other), own);
  const int held = conclude(page, "mprotect behind another stat", by_stat);
  return worse_of(held, conclude(page, "mprotect behind another folder", by_folder));
}

}  // namespace

int main() {
  const Victim page = Victim::supervised_page();
  const int other = ::fork();
  if (other == 0) {
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    ::_exit(126);
  }
  // Until it runs the other program.
  const auto program_of = [](int process) {
    char name[256] = {};
    (void)!::readlink((folder_of(process) + "/exe").c_str(), name, sizeof name - 1);
    return std::string(name);
  };
  const std::string own = program_of(::getpid());
  if (!eventually([&] { return program_of(other) != own; })) cannot_try("another program");
  const int child = ::fork();
  if (child == 0) leave(change_behind(page, other));
  const int outcome = worse_of(outcome_of(child), change_behind(page, other));
  ::kill(other, SIGKILL);
  return outcome;
}
