// mseal(2) by a raw system call, which answers EAGAIN while a madvise that began before it waits. The program
// repeats it: what the first attempt has left behind must not make the next one succeed.
#include "policy/protocol/control.h"
#include "tests/attacks/stalled_discard.h"

using namespace libmseal::tests;

int main() {
  return StalledDiscard(discard_by_madvise).end_after([](char* at, std::size_t size) {
    constexpr int kAttempts = 3;
    long answer = -EAGAIN;
    for (int attempt = 0; attempt < kAttempts && answer == -EAGAIN; ++attempt) {
      answer = raw_syscall(libmseal::policy::kMsealNumber, at, size, 0);
    }
    return answer;
  });
}
