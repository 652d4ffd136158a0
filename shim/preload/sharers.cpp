#include "shim/preload/sharers.h"

#include <fcntl.h>
#include <linux/kcmp.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "policy/fixed_vector.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

bool shares_memory(long self, long child) {
  const long compared = raw_syscall(__NR_kcmp, self, child, KCMP_VM, 0, 0);
  return compared == 0 || (failed(compared) && compared != -ESRCH);
}

// Reads the pids in a children file: 1 as soon as one shares, 0, or -errno.
long any_child_shares(long directory, const char* thread, long self) {
  policy::FixedVector<char, 64> path;
  for (const char* part : {thread, "/children"}) {
    for (const char* at = part; *at != '\0'; ++at) (void)path.push_back(*at);
  }
  (void)path.push_back('\0');
  const long file = raw_syscall(__NR_openat, directory, path.begin(), O_RDONLY | O_CLOEXEC);
  if (failed(file)) {
    // The thread may have ended since it was listed; then it has no children.
    const bool thread_gone = raw_syscall(__NR_faccessat, directory, thread, 0) == -ENOENT;
    return thread_gone ? 0 : file;
  }
  char buffer[512];
  long pid = 0;
  long result = 0;
  while (result == 0) {
    const long got = raw_syscall(__NR_read, file, buffer, sizeof buffer);
    if (got == -EINTR) continue;
    if (got < 0) result = got;
    if (got <= 0) break;
    for (long index = 0; index < got && result == 0; ++index) {
      if (buffer[index] >= '0' && buffer[index] <= '9') {
        pid = pid * 10 + (buffer[index] - '0');
      } else if (pid != 0) {
        result = shares_memory(self, pid) ? 1 : 0;
        pid = 0;
      }
    }
  }
  (void)raw_syscall(__NR_close, file);
  return result;
}

struct DirectoryEntry {  // the kernel's linux_dirent64
  std::uint64_t inode;
  std::int64_t next;
  std::uint16_t length;
  std::uint8_t type;
  char name[];
};

}  // namespace

long memory_is_shared() {
  const long self = raw_syscall(__NR_getpid);
  const long directory = raw_syscall(__NR_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (failed(directory)) return directory;
  alignas(DirectoryEntry) char buffer[4096];
  long result = 0;
  while (result == 0) {
    const long got = raw_syscall(__NR_getdents64, directory, buffer, sizeof buffer);
    if (got < 0) result = got;
    if (got <= 0) break;
    for (long at = 0; at < got && result == 0;) {
      const auto* const entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      if (entry->name[0] != '.') result = any_child_shares(directory, entry->name, self);
      at += entry->length;
    }
  }
  (void)raw_syscall(__NR_close, directory);
  return result;
}

}  // namespace libmseal::shim
