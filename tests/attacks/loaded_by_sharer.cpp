// A process that shares its parent's memory loads the library and seals a page; the first call also seals the
// loaded objects. The parent does not have its filters: it then makes the page, the text of the program and
// that of the C library writable.
#include <sched.h>
#include <sys/mount.h>

#include "tests/attacks/sharer.h"
#include "tests/attacks/without_library.h"

using namespace libmseal::tests;

namespace {

const char* g_library = nullptr;
struct Target {
  const char* name;
  char* page;
  volatile int state = -1;  // what mseal_query says of it
};
Target g_targets[3] = {{"mprotect of the program, by the parent", nullptr},
                       {"mprotect of the C library, by the parent", nullptr},
                       {"mprotect of the page, by the parent", nullptr}};

char* page_of(std::uintptr_t function) {
  return reinterpret_cast<char*>(function & -kPage);
}

#ifdef TWICE
constexpr int kNamespaces = 0;

// The first copy has found out that the memory is shared. The second one, which has a C library of its own,
// does not know that.
void* load() {
  void* const first = ::dlopen(g_library, RTLD_NOW);
  if (first == nullptr) return nullptr;
  (void)reinterpret_cast<decltype(&::mseal)>(::dlsym(first, "mseal"))(map_at(0, kPage), kPage, 0);
  void* const second = ::dlmopen(LM_ID_NEWLM, g_library, RTLD_NOW);
  if (second == nullptr) return nullptr;
  g_targets[0] = {"mprotect of the second copy, by the parent",
                  page_of(reinterpret_cast<std::uintptr_t>(::dlsym(second, "mseal_query")))};
  g_targets[1] = {"mprotect of its C library, by the parent",
                  page_of(reinterpret_cast<std::uintptr_t>(::dlsym(second, "setsid")))};
  return second;
}
#elif defined(OUTSIDE)
constexpr int kNamespaces = CLONE_NEWPID | CLONE_NEWNS;

void* load() {
  const bool shows_own_processes = ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                                   ::mount("proc", "/proc", "proc", 0, nullptr) == 0;
  return shows_own_processes ? ::dlopen(g_library, RTLD_NOW) : nullptr;
}
#else
constexpr int kNamespaces = 0;

void* load() {
  return ::dlopen(g_library, RTLD_NOW);
}
#endif

int load_and_seal(void*) {
  void* const library = load();
  if (library != nullptr) {
    const auto mseal_it = reinterpret_cast<decltype(&::mseal)>(::dlsym(library, "mseal"));
    const auto query = reinterpret_cast<decltype(&::mseal_query)>(::dlsym(library, "mseal_query"));
    (void)mseal_it(g_targets[2].page, kPage, 0);
    for (Target& target : g_targets) target.state = query(target.page, kPage);
  }
  g_sharer.done = true;
  while (!g_sharer.sealed) nap();
  while (true) raw_syscall(__NR_exit, 0);
}

int attack(const Target& target) {
  if (target.state != MSEAL_STATE_FULLY) return nothing_promised(-EAGAIN);
  const Victim victim = Victim::sealed_already(target.page, kPage);
  const long answer = raw_syscall(__NR_mprotect, target.page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
  return conclude(victim, target.name, answer);
}

}  // namespace

int main(int, char** arguments) {
  if (const char* const preload = std::getenv("LD_PRELOAD")) go_on_without_library(arguments, preload);
  g_library = arguments[1];
  g_targets[0].page = page_of(reinterpret_cast<std::uintptr_t>(&load_and_seal));
  g_targets[1].page = page_of(reinterpret_cast<std::uintptr_t>(&::setsid));
  g_targets[2].page = map_at(0, kPage);
  if (::clone(load_and_seal, stack_top<0>(), CLONE_VM | kNamespaces | SIGCHLD, nullptr) < 0)
    cannot_try("clone");
  while (!g_sharer.done) nap();
  const bool has_loaded = g_targets[0].state >= 0;
  int outcome = attack(g_targets[0]);
  for (int next = 1; next < 3; ++next) outcome = worse_of(outcome, attack(g_targets[next]));
  g_sharer.sealed = true;
  if (!has_loaded) cannot_try("mount or dlopen");
  return outcome;
}
