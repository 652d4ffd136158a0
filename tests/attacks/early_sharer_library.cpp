// Its constructor runs before that of libmseal, and creates a process that shares the memory.
#include "tests/attacks/early_sharer.h"

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

char* volatile g_page = nullptr;
volatile long g_answer = 0;

int serve(void*) {
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

const int g_sharer_process = ::clone(serve, stack_top<0>(), CLONE_VM, nullptr);

}  // namespace

bool has_early_sharer() {
  return g_sharer_process > 0;
}

long reprotect_by_sharer(char* page) {
  g_page = page;
  while (g_page != nullptr) nap();
  return g_answer;
}
