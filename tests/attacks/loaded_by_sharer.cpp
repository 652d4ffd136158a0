// A process that shares its parent's memory loads the library, whose first call seals the loaded objects. The
// parent has no filters: it then makes the text of the program writable.
#include <dlfcn.h>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

const char* g_library = nullptr;
char* g_text = nullptr;
volatile int g_state = -1;  // what mseal_query says of the text

int load_and_seal(void*) {
  void* const library = ::dlopen(g_library, RTLD_NOW);
  if (library != nullptr) {
    const auto mseal_it = reinterpret_cast<decltype(&::mseal)>(::dlsym(library, "mseal"));
    const auto query = reinterpret_cast<decltype(&::mseal_query)>(::dlsym(library, "mseal_query"));
    (void)mseal_it(map_at(0, kPage), kPage, 0);
    g_state = query(g_text, kPage);
  }
  g_sharer.done = true;
  while (!g_sharer.sealed) nap();
  while (true) raw_syscall(__NR_exit, 0);
}

// This image has no filters yet, and the next no library.
[[noreturn]] void go_on_without_library(char** arguments, const std::string& library) {
  std::string options = std::getenv("MSEAL_OPTIONS");
  const std::size_t at = options.find("auto=off");
  options.replace(at, sizeof "auto=off" - 1, "auto=elf");
  ::setenv("MSEAL_OPTIONS", options.c_str(), 1);
  ::unsetenv("LD_PRELOAD");
  ::execl(arguments[0], arguments[0], library.c_str(), nullptr);
  cannot_try("execl");
}

}  // namespace

int main(int, char** arguments) {
  if (const char* const preload = std::getenv("LD_PRELOAD")) go_on_without_library(arguments, preload);
  g_library = arguments[1];
  g_text = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(&load_and_seal) & -kPage);
  if (::clone(load_and_seal, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  while (!g_sharer.done) nap();
  if (g_state < 0) {
    g_sharer.sealed = true;
    cannot_try("dlopen");
  }
  if (g_state != MSEAL_STATE_FULLY) {
    g_sharer.sealed = true;
    return nothing_promised(-EAGAIN);
  }
  const Victim victim = Victim::sealed_already(g_text, kPage);
  const long answer = raw_syscall(__NR_mprotect, g_text, kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
  g_sharer.sealed = true;
  return conclude(victim, "mprotect by the parent", answer);
}
