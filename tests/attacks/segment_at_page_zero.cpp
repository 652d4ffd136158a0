// A page of a System V segment lies where shmdt takes its segment to begin at address 0.
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  constexpr std::size_t kLowest = 0x10000;  // vm.mmap_min_addr
  const std::size_t size = kLowest + kPage;
  const int segment = new_segment(size);
  char* const at = static_cast<char*>(::shmat(segment, nullptr, 0));
  ::shmctl(segment, IPC_RMID, nullptr);
  if (at == reinterpret_cast<char*>(-1)) cannot_try("shmat");
  std::memset(at + kLowest, 'v', kPage);
  const long moved =
      raw_syscall(__NR_mremap, at + kLowest, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, kLowest);
  if (libmseal::shim::failed(moved)) cannot_try("mremap to the lowest page");
  const Victim victim(reinterpret_cast<char*>(moved), kPage);
  return conclude(victim, "shmdt(0)", raw_syscall(__NR_shmdt, 0));
}
