// Covers what the supervisor knows this process by, /proc/PID/stat, by that of another. Root can.
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim text = Victim::text();
  const auto change_text = [&] {
    return raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  };
  const std::string own = "/proc/" + std::to_string(::getpid());
  if (::mount("/proc/1/stat", (own + "/stat").c_str(), nullptr, MS_BIND, nullptr) != 0) cannot_try("mount");
  const int held = conclude(text, "mprotect behind another stat", change_text());
  ::umount2((own + "/stat").c_str(), MNT_DETACH);
  if (::mount("/proc/1", own.c_str(), nullptr, MS_BIND, nullptr) != 0) cannot_try("mount");
  const long answer = change_text();
  ::umount2(own.c_str(), MNT_DETACH);
  return worse_of(held, conclude(text, "mprotect behind another folder", answer));
}
