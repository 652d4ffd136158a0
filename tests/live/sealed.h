// What several scenarios seal, and that it is.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "mseal/mseal.h"
#include "tests/live/calls.h"
#include "tests/live/expect.h"
#include "tests/support/machine.h"

namespace libmseal::tests {

// A page of the program's own code.
inline char* own_text() {
  return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(&own_text) & -page_size());
}

// How many filters this thread has, as a line of /proc; empty where the kernel does not tell.
inline std::string number_of_filters() {
  std::ifstream status("/proc/thread-self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp_filters:")) return line;
  }
  return {};
}

inline char* map_pages(std::size_t count) {
  void* const memory =
      ::mmap(nullptr, count * page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE_OR_STOP(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

inline char* readable_page() {
  void* const memory = ::mmap(nullptr, page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE_OR_STOP(memory != MAP_FAILED);
  return static_cast<char*>(memory);
}

inline char* sealed_page() {
  char* const page = readable_page();
  REQUIRE_OR_STOP(::mseal(page, page_size(), 0) == 0);
  return page;
}

inline void expect_sealed(char* at) {
  for (const Via via : kBothWays) {
    const Calls call{via};
    EXPECT(call.unmap(at, page_size()) == -EPERM);
    EXPECT(call.protect(at, page_size(), PROT_READ | PROT_WRITE) == -EPERM);
    EXPECT(call.advise(at, page_size(), MADV_DONTNEED) == -EPERM);
  }
}

// Waits for the child. Whether it has ended by itself, with that status.
inline bool ends_with(pid_t child, int wanted) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == wanted;
}

// Runs `body` in a child and passes its failures on.
template <class Body>
void in_child(Body body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE_OR_STOP(child >= 0);
  if (child == 0) {
    g_failures = 0;
    body();
    ::_exit(g_failures == 0 ? 0 : 1);
  }
  EXPECT(ends_with(child, 0));
}

}  // namespace libmseal::tests
