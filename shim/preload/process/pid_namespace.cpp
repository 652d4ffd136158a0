#include "shim/preload/process/pid_namespace.h"

#include <fcntl.h>

#include <string_view>

#include "shim/common/proc_root.h"
#include "shim/preload/messages/why_unsealed.h"

namespace libmseal::shim {
namespace {

// The text of the link: "pid:[4026531836]".
struct Name {
  char text[32] = {};
  long size = 0;  // 0, or -errno: not known

  void read(long directory, const char* path) {
    size = raw_syscall(__NR_readlinkat, directory, path, text, static_cast<long>(sizeof text));
  }
  [[nodiscard]] std::string_view view() const {
    return size > 0 ? std::string_view(text, static_cast<std::size_t>(size)) : std::string_view();
  }
};

constinit Name g_first;

}  // namespace

void note_pid_namespace() {
  g_first.read(AT_FDCWD, "/proc/self/ns/pid");
}

long check_pid_namespace() {
  const ProcRoot proc;  // ignores mounts over it
  const long link = proc.open(ProcPath("self/ns/pid"), O_PATH | O_NOFOLLOW);
  if (failed(link)) return explain(Why::unreadable, link);
  Name now;
  now.read(link, "");
  (void)raw_syscall(__NR_close, link);
  const bool same = now.size > 0 && now.view() == g_first.view();
  if (!same) return explain(Why::pid_namespace);
  return shows_own_namespace(proc) ? 0 : explain(Why::foreign_proc);
}

}  // namespace libmseal::shim
