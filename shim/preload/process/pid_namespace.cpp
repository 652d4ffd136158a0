#include "shim/preload/process/pid_namespace.h"

#include <fcntl.h>

#include <string_view>

#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/process/alone_proof.h"

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
constinit bool g_may_have_outer_sharer = false;

// The machine's first namespace, in which every process is visible (include/linux/proc_ns.h,
// PROC_PID_INIT_INO).
constexpr std::string_view kOfMachine = "pid:[4026531836]";

// After execve nobody shares the memory. Of a fork that is not known.
bool may_share_at_start() {
  policy::StatLine own;
  const bool has_executed = read_stat(ProcRoot(), ProcPath("self/stat"), own) == 0 && !own.is_fork();
  return !has_executed && !is_alone_for_sure();
}

}  // namespace

void note_pid_namespace() {
  g_first.read(AT_FDCWD, "/proc/self/ns/pid");
  g_may_have_outer_sharer = g_first.view() != kOfMachine && may_share_at_start();
}

PidNamespace present_pid_namespace(const ProcRoot& proc) {
  const long link = proc.open(ProcPath("self/ns/pid"), O_PATH | O_NOFOLLOW);
  if (failed(link)) return {NamespaceIs::unreadable, link};
  Name now;
  now.read(link, "");
  (void)raw_syscall(__NR_close, link);
  if (now.size <= 0) return {NamespaceIs::unreadable, now.size};
  if (now.view() != g_first.view()) return {NamespaceIs::another, 0};
  if (g_may_have_outer_sharer) return {NamespaceIs::of_fork, 0};
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
    case NamespaceIs::of_fork:
      return explain(Why::loaded_by_fork);
    case NamespaceIs::not_of_proc:
      return explain(Why::foreign_proc);
    case NamespaceIs::unreadable:
      break;
  }
  return explain(Why::unreadable, present.error);
}

long check_pid_namespace() {
  return explain(present_pid_namespace(ProcRoot()));
}

}  // namespace libmseal::shim
