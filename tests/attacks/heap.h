// The heap as the kernel has it, for the attacks by brk.
#pragma once

#include <thread>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

inline std::uint64_t set_break(std::uint64_t to) {
  return static_cast<std::uint64_t>(raw_syscall(__NR_brk, to));
}

// The next whole page after the break, which is moved `pages` further.
inline std::uint64_t grow_heap(std::size_t pages) {
  const std::uint64_t start = (set_break(0) + kPage - 1) & -kPage;
  const std::uint64_t end = start + pages * kPage;
  if (set_break(end) != end) cannot_try("brk");
  return start;
}

// start_brk, in whole pages: field 47 of /proc/self/stat. The command, in parentheses, is field 2.
inline std::uint64_t heap_start() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::size_t at = text.rfind(')') + 1;
  for (int field = 3; field < 47; ++field) at = text.find(' ', at + 1);
  return std::stoull(text.substr(at + 1)) & -kPage;
}

// In another thread than the first: the heap of a static program holds what the first one needs all the time.
inline int in_a_thread(int (*attack)()) {
  int outcome = kCannotTry;
  std::thread([&] { outcome = attack(); }).join();
  return outcome;
}

}  // namespace libmseal::tests
