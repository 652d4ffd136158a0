// The process that shares the memory: it serves until its parent has ended. For one source file of a library.
#pragma once

#include "tests/attacks/early_sharer.h"
#include "tests/attacks/sharer.h"

namespace libmseal::tests {

inline char* volatile g_page = nullptr;
inline volatile long g_answer = 0;

inline int serve(void*) {
  const long parent = raw_syscall(__NR_getppid);
  while (raw_syscall(__NR_getppid) == parent) {
    if (g_page != nullptr) {
      g_answer = raw_syscall(__NR_mprotect, g_page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
      g_page = nullptr;
    }
    nap();
  }
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace libmseal::tests

long reprotect_by_sharer(char* page) {
  libmseal::tests::g_page = page;
  while (libmseal::tests::g_page != nullptr) libmseal::tests::nap();
  return libmseal::tests::g_answer;
}
