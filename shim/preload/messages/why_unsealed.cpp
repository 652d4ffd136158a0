#include "shim/preload/messages/why_unsealed.h"

#include <atomic>
#include <cerrno>
#include <string_view>

#include "shim/preload/messages/message.h"

namespace libmseal::shim {
namespace {

struct Cause {
  Why why;
  int error;              // that the program gets
  std::string_view text;  // followed by the error, if there is one
  std::string_view advice;
  std::atomic<bool> said = false;
};

constexpr std::string_view kFewer = "seal fewer or larger ranges; what is sealed stays sealed";

constinit Cause g_causes[] = {
    {Why::filters_full, ENOMEM, "the kernel accepts no more filters for this process", kFewer},
    {Why::program_filters, EAGAIN, "a thread of this program installed seccomp filters of its own",
     "seal before that, or install them in all threads (SECCOMP_FILTER_FLAG_TSYNC)"},
    {Why::filter_failed, EAGAIN, "the filter could not be installed", "nothing was sealed"},
    {Why::shared, EAGAIN, "another process shares this memory (vfork, clone), or may share it",
     "seal before that process starts or after it has ended"},
    {Why::not_ours, EAGAIN,
     "a process that shared this memory (vfork, clone) called the library first, so this process has "
     "no filters",
     "call the library before such a process starts"},
    {Why::pid_namespace, EAGAIN,
     "the program has left the pid namespace in which it was started, and can't see who shares its memory",
     "seal before that, or seal in a program that is started there"},
    {Why::loaded_by_fork, EAGAIN,
     "the library was loaded in a forked process, and a process outside of this pid namespace may share its "
     "memory",
     "load the library before the fork: link it, preload it, or call dlopen earlier"},
    {Why::foreign_proc, EAGAIN,
     "/proc belongs to another pid namespace, so the library can't see who shares this memory",
     "mount a procfs of this one"},
    {Why::gone, EAGAIN, "the supervisor of this process tree is gone", "start the program again"},
    {Why::unknown, EAGAIN, "the supervisor can't inspect this process",
     "seal before it changes its user or sets PR_SET_DUMPABLE 0"},
    {Why::thread, EAGAIN,
     "a thread is still inside a memory call that began before the seal, or got no processor for a second",
     "such a call may still change the range; try again"},
    {Why::hidden_threads, EAGAIN,
     "the program is not dumpable (PR_SET_DUMPABLE, or a change of user), so it may not inspect its threads, "
     "of which one may be inside a memory call",
     "seal before that, or run it with CAP_SYS_PTRACE"},
    {Why::locked, EAGAIN, "the library's lock was not free for twenty seconds",
     "the thread that held it was stopped, or a process that shares this memory was killed in mseal"},
    {Why::overtaken, EAGAIN, "too many threads or processes seal at this moment", "try again"},
    {Why::table_full, ENOMEM, "the supervisor's table is full", kFewer},
    {Why::local_seals_full, ENOMEM, "no room for more seals", kFewer},
    {Why::many_pieces, ENOMEM, "the range has too many mappings of different kinds", "seal it in parts"},
    {Why::unreadable, EAGAIN, "/proc/thread-self can't be read", "let the program read it"},
    {Why::io_uring, EAGAIN,
     "the program had an io_uring before its first seal, and filters can't see its requests",
     "create the io_uring after the first seal, or set open=io_uring"},
    {Why::not_sealable, EACCES, "sealable=required, and the memory was not placed by MAP_SEALABLE",
     "map it with MAP_SEALABLE and without MAP_FIXED, under the backend supervised"},
    {Why::late_library, EAGAIN,
     "the backend is libc, and libmseal.so was loaded after libc, so it can't intercept the program's calls",
     "preload the library, or link the program to it"},
    {Why::program_filter_kills, EAGAIN,
     "a seccomp filter of this program, or of one that has executed it, kills the process if it makes a "
     "system call that sealing needs",
     "seal before the filter is installed, or let it answer with an error"},
};

}  // namespace

long explain(Why why, long error) {
  for (Cause& cause : g_causes) {
    if (cause.why != why) continue;
    if (!cause.said.exchange(true)) {
      Message message;
      message << "mseal: " << cause.text;
      if (error != 0) message << ": " << ErrorText{error};
      message << (error != 0 ? "; " : ": ") << cause.advice;
    }
    return -cause.error;
  }
  return -EAGAIN;
}

long explain_filter_failure(long error) {
  switch (error) {
    case -ENOMEM:
      return explain(Why::filters_full);
    case -ESRCH:
      return explain(Why::program_filters);
    default:
      return explain(Why::filter_failed, error);
  }
}

long explain_sharing(long error) {
  switch (error) {
    case -ENOSYS:
      return explain(Why::gone);
    case -EPERM:
      return explain(Why::unknown);
    case -EXDEV:
      return -EAGAIN;  // it has been explained
    default:
      return explain(Why::shared);
  }
}

}  // namespace libmseal::shim
