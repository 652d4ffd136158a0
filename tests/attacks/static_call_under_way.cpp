// A munmap that waits for the lock of the memory map while a static program makes its first seal.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// The thread has been inside of a call that somebody was notified of, and goes on with it.
void wait_until_let_through(long thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
  bool waited = false;
  for (int looks = 0; looks < 10'000; ++looks) {
    std::ifstream file(path);
    std::string where;
    file >> where;
    const bool waits = where == std::to_string(__NR_mprotect);
    if ((waited && !waits) || !file) return;
    waited = waited || waits;
  }
}

// One try, in an image of its own. The protection of much memory is changed meanwhile, which takes long.
int once() {
  constexpr std::size_t kMuch = 256 << 20;
  char* const much = static_cast<char*>(
      ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
  if (much == MAP_FAILED) cannot_try("much memory");
  ::madvise(much, kMuch, MADV_NOHUGEPAGE);
  char* const page = map_at(0x2000'0000'0000, kPage);
  std::memset(page, 'v', kPage);
  std::atomic<long> slow_thread = 0;
  std::atomic<bool> begun = false;
  std::thread slow([&] {
    slow_thread = raw_syscall(__NR_gettid);
    (void)raw_syscall(__NR_mprotect, much, kMuch, PROT_READ);
  });
  long answer = 0;
  std::thread remover([&] {
    while (slow_thread == 0) std::this_thread::yield();
    wait_until_let_through(slow_thread);
    begun = true;
    answer = raw_syscall(__NR_munmap, page, kPage);
  });
  while (!begun) ::usleep(20);
  ::usleep(static_cast<useconds_t>(::getpid() % 8 * 50));
  const long sealed = seal(page, kPage);
  unsigned char there = 0;
  const bool sealed_page = sealed == 0 && raw_syscall(__NR_mincore, page, kPage, &there) == 0;
  slow.join();
  remover.join();
  const bool still_there = raw_syscall(__NR_mincore, page, kPage, &there) == 0;
  if (sealed != 0) {
    (void)Victim::page();  // mseal works
    return kNothingSealed;
  }
  std::printf("mseal answered 0, with the page %s; munmap answered %ld; the page is %s\n",
              sealed_page ? "there" : "gone", answer, still_there ? "unharmed" : "CHANGED");
  return still_there ? kHeld : kBroken;
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 2) return once();
  // Emulated machines are slow.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int rounds = 0;
  int refused = 0;
  for (; rounds < 30 && std::chrono::steady_clock::now() < end; ++rounds) {
    const int child = ::fork();
    if (child == 0) {
      ::execl("/proc/self/exe", arguments[0], "", "once", nullptr);
      ::_exit(126);
    }
    const int outcome = outcome_of(child);
    if (outcome != kHeld && outcome != kNothingSealed) return outcome;
    if (outcome == kNothingSealed) ++refused;
  }
  std::printf("%d rounds; mseal refused in %d\n", rounds, refused);
  return kHeld;  // also if munmap always came first
}
