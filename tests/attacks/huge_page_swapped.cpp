// mmap MAP_FIXED by a descriptor of an ordinary file when the call is checked, and of one of huge pages when
// it is made: another thread exchanges the file.
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const long huge = raw_syscall(__NR_memfd_create, "huge", MFD_HUGETLB);
  if (libmseal::shim::failed(huge)) return conclude(victim, "memfd_create(MFD_HUGETLB)", huge);
  const int plain = ::memfd_create("plain", 0);
  const int used = ::dup(plain);
  if (used < 0 || ::ftruncate(static_cast<int>(huge), 2 << 20) != 0 || ::ftruncate(plain, 2 << 20) != 0) {
    cannot_try("files");
  }
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      ::dup2(static_cast<int>(huge), used);
      ::dup2(plain, used);
    }
  });
  long answer = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  int tries = 0;
  while (tries % 64 != 0 || (victim.intact() && std::chrono::steady_clock::now() < end)) {
    ++tries;
    answer =
        raw_syscall(__NR_mmap, kTarget, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, used, 0);
    (void)raw_syscall(__NR_munmap, kTarget, 4096);
  }
  done = true;
  swapper.join();
  std::printf("%d tries\n", tries);
  return conclude(victim, "mmap(MAP_FIXED) of a file that changes", answer);
}
