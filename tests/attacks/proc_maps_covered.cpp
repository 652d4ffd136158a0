// Mounts made-up files over this process's maps, in which the page to be sealed is writable: then its
// contents would need no protection. It takes root.
#include <fcntl.h>
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

bool cover_maps(const std::string& maps, unsigned long page) {
  char name[] = "/tmp/libmseal-maps-XXXXXX";
  const int file = ::mkstemp(name);
  char line[64];
  const int size = std::snprintf(line, sizeof line, "%lx-%lx rw-p 00000000 00:00 0\n", page, page + kPage);
  const bool covered = file >= 0 && ::write(file, line, static_cast<std::size_t>(size)) > 0 &&
                       ::mount(name, maps.c_str(), nullptr, MS_BIND, nullptr) == 0;
  ::unlink(name);
  ::close(file);
  return covered;
}

}  // namespace

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  const std::string process = "/proc/" + std::to_string(::getpid());
  const std::string files[] = {process + "/maps", process + "/task/" + std::to_string(::gettid()) + "/maps"};
  for (const std::string& maps : files) {
    if (!cover_maps(maps, reinterpret_cast<unsigned long>(page))) cannot_try("maps of our own making");
  }
  const long sealed = seal(page, kPage);
  for (const std::string& maps : files) ::umount2(maps.c_str(), MNT_DETACH);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "madvise(MADV_DONTNEED)", raw_syscall(__NR_madvise, page, kPage, MADV_DONTNEED));
}
