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

PidNamespace present_pid_namespace() {
  const ProcRoot proc;  // ignores mounts over it
  const long link = proc.open(ProcPath("self/ns/pid"), O_PATH | O_NOFOLLOW);
  if (failed(link)) return {NamespaceIs::unreadable, link};
  Name now;
  now.read(link, "");
  (void)raw_syscall(__NR_close, link);
  if (now.size <= 0) return {NamespaceIs::unreadable, now.size};
  if (now.view() != g_first.view()) return {NamespaceIs::another, 0};
  const long shown = check_own_namespace(proc);
  if (shown == -EXDEV) return {NamespaceIs::not_of_proc, 0};
  return {shown == 0 ? NamespaceIs::first : NamespaceIs::unreadable, shown};
}

long explain(const PidNamespace& present) {
  switch (present.is) {
    case NamespaceIs::first:
      return 0;
    case NamespaceIs::another:
      return explain(Why::pid_namespace);
    case NamespaceIs::not_of_proc:
      return explain(Why::foreign_proc);
    case NamespaceIs::unreadable:
      break;
  }
  return explain(Why::unreadable, present.error);
}

long check_pid_namespace() {
  return explain(present_pid_namespace());
}

}  // namespace libmseal::shim
