// Memory that the program itself has mapped by a hint in the area where everything is sealed at once:
// mseal must add what that area's own seal leaves out.
#include <fcntl.h>

#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  // The window for memory that may be written, whose contents nobody protects.
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* const first = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE | PROT_SEAL, kFlags, -1, 0);
  if (first == MAP_FAILED) cannot_try("mmap(PROT_SEAL)");
  char* const place = static_cast<char*>(first) + (1 << 30);
  if (const long hole = seal(place, kPage); hole != -ENOMEM) {
    std::printf("mseal of a hole answered %ld\n", hole);
    return kBroken;
  }
  const int file = ::open("/proc/self/exe", O_RDONLY);
  char* const constants = static_cast<char*>(::mmap(place, kPage, PROT_READ, MAP_PRIVATE, file, 0));
  char* const page = static_cast<char*>(::mmap(place + (1 << 30), kPage, PROT_READ, kFlags, -1, 0));
  const int memory = ::open("/proc/self/mem", O_RDWR);
  if (constants == MAP_FAILED || page == MAP_FAILED || memory < 0) cannot_try("memory by a hint");
  for (char* const each : {constants, page}) {
    if (::pwrite(memory, "victim", 6, reinterpret_cast<off_t>(each)) != 6) cannot_try("/proc/self/mem");
  }
  const Victim copied(constants, kPage);
  const Victim anonymous(page, kPage);
  int worst =
      conclude(copied, "madvise of a file", raw_syscall(__NR_madvise, constants, kPage, MADV_DONTNEED));
  worst =
      worse_of(worst, conclude(anonymous, "madvise", raw_syscall(__NR_madvise, page, kPage, MADV_DONTNEED)));

  const int segment = new_segment(kPage);
  char* const at = static_cast<char*>(::shmat(segment, place + (2 << 20) * 16, 0));
  ::shmctl(segment, IPC_RMID, nullptr);
  if (reinterpret_cast<long>(at) == -1) return worst;  // no segment is attached there
  std::memset(at, 'v', kPage);
  const Victim attached(at, kPage);
  // 0, whatever comes of it: it keeps what is sealed.
  (void)raw_syscall(__NR_shmdt, at);
  return worse_of(worst, conclude(attached, "munmap", raw_syscall(__NR_munmap, at, kPage)));
}
