// A thread that sleeps when the others are stopped wakes up before the filter is in force, and is still
// inside munmap when the range is looked at for the second time: another process holds the lock of the
// memory meanwhile. Since Linux 6.17, /proc/PID/maps is read without that lock.
#include <fcntl.h>
#include <sys/prctl.h>
#include <atomic>
#include <chrono>

#include <csignal>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kWalked = std::size_t{128} << 20;  // what the lock is kept for
constexpr int kAttempts = 600;

struct Shared {
  std::atomic<int> round;
  std::atomic<long> delay_ns;
};

void wait_until(Clock::time_point time) {
  while (Clock::now() < time) {
  }
}

// Another process, which nobody stops: wakes the thread up, and looks for pages of its parent that were used.
[[noreturn]] void alarm_clock(Shared& shared, int pipe) {
  const std::string file = "/proc/" + std::to_string(::getppid()) + "/clear_refs";
  const int walk = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (walk < 0) ::_exit(1);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int round = 1;; ++round) {
    while (shared.round < round) ::usleep(50);
    const auto start = Clock::now();
    wait_until(start + std::chrono::nanoseconds(shared.delay_ns));
    if (::write(pipe, "w", 1) != 1 || ::write(walk, "1", 1) != 1) ::_exit(1);
  }
}

}  // namespace

int main() {
  auto* const shared = static_cast<Shared*>(
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  int ends[2];
  if (shared == MAP_FAILED || ::pipe(ends) != 0) cannot_try("set-up");
  const pid_t clock = ::fork();
  if (clock == 0) alarm_clock(*shared, ends[1]);

  std::atomic<char*> victim = nullptr;
  std::atomic<int> woken = 0;
  std::atomic<bool> done = false;
  std::thread sleeper([&] {
    char byte;
    while (::read(ends[0], &byte, 1) == 1 && !done) {
      raw_syscall(__NR_munmap, victim.load(), kPage);
      ++woken;
    }
  });

  char* const walked = map_at(0, kWalked);
  ::madvise(walked, kWalked, MADV_NOHUGEPAGE);
  std::memset(walked, 1, kWalked);
  // The library has started, and maps nothing where munmap has made room.
  const Victim first = Victim::page();
  int sealed = 0;
  int changed = 0;
  int refused = 0;
  auto usual = std::chrono::nanoseconds(1'000'000);  // for one mseal
  const auto end = Clock::now() + std::chrono::seconds(5);
  int attempt = 0;
  for (; attempt < kAttempts && changed == 0 && Clock::now() < end; ++attempt) {
    char* const page = map_at(0, kPage);
    *page = 'v';
    // After a seal that failed late, its filter stays.
    if (::mprotect(page, kPage, PROT_READ) != 0) continue;
    victim = page;
    // The whole time that mseal takes, in small steps.
    shared->delay_ns = usual.count() * (attempt % 40) / 32;
    const auto start = Clock::now();
    const int before = woken;
    ++shared->round;
    const long answer = seal(page, kPage);
    usual = (usual * 3 + (Clock::now() - start)) / 4;
    while (woken == before) ::usleep(100);
    if (answer != 0) {
      ++refused;
    } else {
      ++sealed;
      unsigned char resident = 0;
      if (::mincore(page, kPage, &resident) != 0) ++changed;
    }
    if (answer != 0) ::munmap(page, kPage);
  }
  done = true;
  ::kill(clock, SIGKILL);
  ::waitpid(clock, nullptr, 0);
  (void)!::write(ends[1], "w", 1);
  sleeper.join();
  std::printf("%d attempts: %d pages were sealed, %d seals refused; %d sealed pages were changed\n", attempt,
              sealed, refused, changed);
  if (!first.intact() || changed != 0) return kBroken;
  return sealed != 0 ? kHeld : kNothingSealed;
}
