// In a pid namespace with the /proc of the one outside, where the same numbers are other processes: a child
// takes the number of one of them. This program has the number of another, too.
#include <dirent.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// A process outside whose memory can be looked at; not of this tree.
int somebody() {
  int found = 0;
  DIR* const processes = ::opendir("/proc");
  while (const dirent* const entry = processes != nullptr ? ::readdir(processes) : nullptr) {
    const int number = std::atoi(entry->d_name);
    if (number < 20 || number > 30'000 || number == ::getpid()) continue;
    std::ifstream maps("/proc/" + std::to_string(number) + "/maps");
    std::string line;
    if (!std::getline(maps, line)) continue;
    found = number;
    break;
  }
  if (processes != nullptr) ::closedir(processes);
  return found;
}

}  // namespace

int main() {
  const auto page = reinterpret_cast<std::uintptr_t>(&somebody) & -kPage;
  const Victim text = Victim::sealed_already(reinterpret_cast<char*>(page), kPage);
  const int number = somebody();
  if (number == 0) cannot_try("no other process");
  for (int attempt = 0; attempt < 1000; ++attempt) {
    {
      std::ofstream last("/proc/sys/kernel/ns_last_pid");
      last << number - 1 << std::flush;
      if (!last) cannot_try("ns_last_pid");
    }
    const int child = ::fork();
    if (child == 0) {
      if (::getpid() != number) ::_exit(kCannotTry);
      const long answer =
          raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
      const int outcome = conclude(text, "mprotect under another's number", answer);
      leave(outcome);
    }
    const int outcome = outcome_of(child);
    if (outcome != kCannotTry) return outcome;
  }
  cannot_try("the number of another process");
}
