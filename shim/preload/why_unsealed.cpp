#include "shim/preload/why_unsealed.h"

#include <cerrno>
#include <string_view>

#include "shim/preload/message.h"

namespace libmseal::shim {
namespace {

// Each complaint is made once: a program may try in a loop.
void complain_once(bool& made, std::string_view text, std::string_view advice) {
  if (made) return;
  made = true;
  Message() << "mseal: " << text << ": " << advice;
}

}  // namespace

long explain_filter_failure(long error) {
  static bool no_room = false;
  static bool diverged = false;
  static bool other = false;
  switch (error) {
    case -ENOMEM:
      complain_once(no_room, "the kernel takes no more filters for this process",
                    "seal larger ranges, or fewer; what is sealed stays sealed");
      return -ENOMEM;
    case -ESRCH:
      complain_once(diverged, "a thread of this program installed seccomp filters of its own",
                    "seal before that, or let every thread have them (SECCOMP_FILTER_FLAG_TSYNC)");
      return -EAGAIN;
    default:
      complain_once(other, text_of_error(error), "the filter could not be installed, nothing was sealed");
      return -EAGAIN;
  }
}

long explain_sharing() {
  static bool said = false;
  complain_once(said, "another process runs in this memory (vfork, clone), or may do so",
                "seal before it is started or after it has ended");
  return -EAGAIN;
}

long explain_unknown() {
  static bool said = false;
  complain_once(said, "the supervisor can't look at this process",
                "seal before it changes its user or sets PR_SET_DUMPABLE 0");
  return -EAGAIN;
}

long explain_thread(long error) {
  static bool said = false;
  complain_once(said, "a thread stays inside a call that changes memory",
                "the seal may come too late for that call");
  return error;
}

long explain_table_full() {
  static bool said = false;
  complain_once(said, "the supervisor's table is full",
                "seal larger ranges, or fewer; what is sealed stays sealed");
  return -ENOMEM;
}

long explain_ledger_full() {
  static bool said = false;
  complain_once(said, "no room for more seals", "seal larger ranges, or fewer; what is sealed stays sealed");
  return -ENOMEM;
}

long explain_many_pieces() {
  static bool said = false;
  complain_once(said, "the range has too many mappings of different kinds", "seal it in parts");
  return -ENOMEM;
}

long explain_unreadable(long error) {
  static bool said = false;
  complain_once(said, text_of_error(error), "/proc/thread-self can't be read");
  return -EAGAIN;
}

long explain_not_sealable() {
  static bool said = false;
  complain_once(said, "sealable=required, and the memory was not mapped with MAP_SEALABLE where that counts",
                "map it so, without MAP_FIXED, under the backend supervised");
  return -EACCES;
}

long explain_late_library() {
  static bool said = false;
  complain_once(
      said, "the backend is libc, and the program calls libc's own functions: libmseal.so was loaded later",
      "preload it, or link the program to it");
  return -EAGAIN;
}

long explain_io_uring() {
  static bool said = false;
  complain_once(said, "the program had an io_uring before its first seal, and no filter sees what that does",
                "make it afterwards, or set open=io_uring");
  return -EAGAIN;
}

}  // namespace libmseal::shim
