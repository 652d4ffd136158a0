// Covers what the supervisor knows this process by, /proc/PID/stat, by that of another. Root can.
#include <sys/mount.h>

#include <csignal>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

std::string folder_of(int process) {
  return "/proc/" + std::to_string(process);
}

}  // namespace

int main() {
  const Victim text = Victim::text();
  const int other = ::fork();
  if (other == 0) {
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    ::_exit(126);
  }
  ::usleep(200'000);  // it is another image by then
  const auto change_text_behind = [&](const std::string& from, const std::string& over) {
    if (::mount(from.c_str(), over.c_str(), nullptr, MS_BIND, nullptr) != 0) return -static_cast<long>(errno);
    const long answer =
        raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    ::umount2(over.c_str(), MNT_DETACH);
    return answer;
  };
  const std::string own = folder_of(::getpid());
  const long by_stat = change_text_behind(folder_of(other) + "/stat", own + "/stat");
  const long by_folder = change_text_behind(folder_of(other), own);
  ::kill(other, SIGKILL);
  const int held = conclude(text, "mprotect behind another stat", by_stat);
  return worse_of(held, conclude(text, "mprotect behind another folder", by_folder));
}
