// shmdt with another file where the attachment starts, whose name is like that of a segment.
#include <fcntl.h>

#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  char* const at = attach_new_segment();
  const Victim victim(at + kPage, kPage);

  const std::string name = "/SYSV-libmseal-" + std::to_string(::getpid());
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) cannot_try("a file in the root folder");
  ::unlink(name.c_str());
  if (::ftruncate(file, static_cast<off_t>(kPage)) != 0) cannot_try("ftruncate");
  if (::mmap(at, kPage, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) != at) cannot_try("the decoy");
  return conclude(victim, "shmdt", raw_syscall(__NR_shmdt, at));
}
