// A write through /proc/self/task/TID/mem, by way of a directory that was opened before.
#include <fcntl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const int tasks = ::open("/proc/self/task", O_RDONLY | O_DIRECTORY);
  const std::string file = std::to_string(::gettid()) + "/mem";
  const int memory = ::openat(tasks, file.c_str(), O_RDWR);
  if (memory < 0) return conclude(victim, "open of /proc/self/task/TID/mem", -errno);
  const long answer = ::pwrite(memory, "x", 1, static_cast<off_t>(victim.address()));
  return conclude(victim, "write to /proc/self/task/TID/mem", answer);
}
