// shmdt of each of more sealed segments than one filter names.
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  constexpr std::size_t kCount = 400;
  const std::size_t size = static_cast<std::size_t>(SHMLBA) > kPage ? SHMLBA : kPage;
  const int segment = new_segment(size);
  // Side by side, sealed by one call.
  char* const room = map_at(0, kCount * size);
  if (::munmap(room, kCount * size) != 0) cannot_try("munmap");
  for (std::size_t index = 0; index < kCount; ++index) {
    if (::shmat(segment, room + index * size, 0) != room + index * size) cannot_try("shmat");
  }
  ::shmctl(segment, IPC_RMID, nullptr);
  std::memset(room, 'v', size);
  const Victim victim(room, kCount * size);
  long worst = 0;
  for (std::size_t index = 0; index < kCount; ++index) {
    const long answer = raw_syscall(__NR_shmdt, room + index * size);
    if (answer != 0) worst = answer;
  }
  return conclude(victim, "shmdt", worst);
}
