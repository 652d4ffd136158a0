#include "shim/preload/sharers.h"

#include <linux/kcmp.h>

#include "shim/preload/threads.h"

namespace libmseal::shim {
namespace {

bool shares_memory(long self, long child) {
  const long compared = raw_syscall(__NR_kcmp, self, child, KCMP_VM, 0, 0);
  return compared == 0 || (failed(compared) && compared != -ESRCH);
}

}  // namespace

long memory_is_shared() {
  const long self = raw_syscall(__NR_getpid);
  return for_each_thread([self](const Thread& thread) -> long {
    char children[4096] = {};
    const long got = thread.read("children", children);
    if (got < 0) return got;
    if (got == static_cast<long>(sizeof children)) return 1;  // too many to look at each
    long pid = 0;
    for (long index = 0; index < got; ++index) {
      if (children[index] >= '0' && children[index] <= '9') {
        pid = pid * 10 + (children[index] - '0');
      } else if (pid != 0) {
        if (shares_memory(self, pid)) return 1;
        pid = 0;
      }
    }
    return 0;
  });
}

}  // namespace libmseal::shim
