// A descriptor for reading, turned into one for writing by opening it again; from a forked child.
#include <fcntl.h>
#include <sys/wait.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const std::string mem = "/proc/" + std::to_string(::getpid()) + "/mem";
  const int child = ::fork();
  if (child == 0) {
    const int reading = ::open(mem.c_str(), O_RDONLY);
    const std::string again = "/proc/self/fd/" + std::to_string(reading);
    const int writing = ::open(again.c_str(), O_WRONLY);
    if (writing >= 0) (void)!::pwrite(writing, "x", 1, static_cast<off_t>(victim.address()));
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  return conclude(victim, "write to /proc/PID/mem, opened again", 0);
}
