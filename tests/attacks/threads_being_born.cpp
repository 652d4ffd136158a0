// Threads come to life while a seal is put in force; none may be born without it.
#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr int kRounds = 30;
  std::atomic<char*> sealed = nullptr;  // mseal has returned for this page
  std::atomic<bool> done = false;
  std::atomic<long> escaped = 0;
  std::atomic<long> born = 0;
  std::vector<std::thread> mothers;
  for (int index = 0; index < 3; ++index) {
    mothers.emplace_back([&] {
      while (!done) {
        std::thread([&] {
          ++born;
          char* const page = sealed;
          if (page != nullptr && raw_syscall(__NR_munmap, page, kPage) != -EPERM) ++escaped;
        }).join();
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    char* const page = map_at(0, kPage);
    const long answer = seal(page, kPage);
    if (answer != 0) cannot_call("mseal", answer);
    sealed = page;
    const long before = born;
    while (born < before + 20) ::sched_yield();
  }
  done = true;
  for (std::thread& mother : mothers) mother.join();
  std::printf("%ld threads were born, %ld of them changed what was sealed\n", born.load(), escaped.load());
  return escaped == 0 ? kHeld : kBroken;
}
