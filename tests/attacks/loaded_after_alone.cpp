// In a tree, the supervisor has seen that a process was alone with its memory. After that, it makes another
// one that shares the memory, and loads the library, which seals the loaded objects. The other one makes the
// text of the program and that of the C library writable.
#include "tests/attacks/sharer.h"
#include "tests/attacks/without_library.h"

using namespace libmseal::tests;

namespace {

using Query = decltype(&::mseal_query);

struct Target {
  const char* name;
  char* page;
};
const Target* volatile g_target = nullptr;
volatile long g_answer = 0;

char* page_of(std::uintptr_t function) {
  return reinterpret_cast<char*>(function & -kPage);
}

int serve(void*) {
  const long parent = raw_syscall(__NR_getppid);
  g_sharer.runs = true;
  while (raw_syscall(__NR_getppid) == parent) {
    if (g_target != nullptr) {
      g_answer = raw_syscall(__NR_mprotect, g_target->page, kPage, PROT_READ | PROT_WRITE | PROT_EXEC);
      g_target = nullptr;
    }
    nap();
  }
  while (true) raw_syscall(__NR_exit, 0);
}

Query load(const char* library) {
  void* const loaded = ::dlopen(library, RTLD_NOW);
  if (loaded == nullptr) leave(kCannotTry);
  return reinterpret_cast<Query>(::dlsym(loaded, "mseal_query"));
}

// Another fork of the image loads the library first, so that the supervisor knows the image.
void load_in_another(const char* library) {
  int ends[2];
  if (::pipe(ends) != 0) cannot_try("pipe");
  const int parent = ::getpid();
  const int child = ::fork();
  if (child < 0) cannot_try("fork");
  if (child == 0) {
    // Elsewhere: what it seals of the library may count as sealed in later forks, too. This fills the gaps.
    for (int block = 0; block < 256; ++block) (void)map_at(0, kLargestPage);
    (void)load(library);
    if (::write(ends[1], "x", 1) != 1) leave(kCannotTry);
    while (::getppid() == parent) ::usleep(10'000);
    leave(kHeld);
  }
  char said = 0;
  if (::read(ends[0], &said, 1) != 1) cannot_try("read");
}

int attack(const Target& target, Query query) {
  if (query(target.page, kPage) != MSEAL_STATE_FULLY) return nothing_promised(-EAGAIN);
  const Victim victim = Victim::sealed_already(target.page, kPage);
  g_target = &target;
  while (g_target != nullptr) nap();
  return conclude(victim, target.name, g_answer);
}

int attack_in_fork(const char* library) {
  unsigned long ring = 0;
  (void)raw_syscall(__NR_io_setup, 1, &ring);  // before it, the supervisor looks who shares the memory
  if (::clone(serve, stack_top<0>(), CLONE_VM, nullptr) < 0) cannot_try("clone");
  while (!g_sharer.runs) nap();
  const Query query = load(library);
  int outcome = kHeld;
  const Target targets[] = {
      {"mprotect of the program, by the sharer", page_of(reinterpret_cast<std::uintptr_t>(&serve))},
      {"mprotect of the C library, by the sharer", page_of(reinterpret_cast<std::uintptr_t>(&::setsid))}};
  for (const Target& target : targets) outcome = worse_of(outcome, attack(target, query));
  return outcome;
}

}  // namespace

int main(int, char** arguments) {
  if (const char* const preload = std::getenv("LD_PRELOAD")) go_on_without_library(arguments, preload);
  load_in_another(arguments[1]);
  const int child = ::fork();
  if (child < 0) cannot_try("fork");
  if (child == 0) leave(attack_in_fork(arguments[1]));
  return outcome_of(child);
}
