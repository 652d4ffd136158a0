#include "shim/preload/process/alone_proof.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shim/common/child.h"
#include "shim/common/killed_calls.h"
#include "shim/common/no_copy.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/state/program_filters.h"

// The kernel runs unshare(CLONE_VM) only for a process with one thread whose memory nobody else has
// (kernel/fork.c, check_unshare_flags), and does nothing then. A filter may answer 0 instead. So the call
// also unshares the table of open files, and a child that shared the table replaces a descriptor in it
// afterwards: what is read from that descriptor shows whether the kernel has run the call. A filter can
// answer falsely, but it can't write the bytes and the exit status that are read here.
namespace libmseal::shim {
namespace {

class Pipe : NoCopy {
 public:
  Pipe() : is_open_(raw_syscall(__NR_pipe2, ends_, O_CLOEXEC) == 0) {}
  ~Pipe() {
    if (!is_open_) return;
    for (const int end : ends_) (void)raw_syscall(__NR_close, end);
  }
  [[nodiscard]] bool is_open() const { return is_open_; }
  [[nodiscard]] int reader() const { return ends_[0]; }
  [[nodiscard]] bool write(char byte) const { return raw_syscall(__NR_write, ends_[1], &byte, 1) == 1; }
  // 0 if nothing was read.
  [[nodiscard]] char read() const {
    char byte = 0;
    return raw_syscall(__NR_read, ends_[0], &byte, 1) == 1 ? byte : '\0';
  }

 private:
  int ends_[2] = {-1, -1};
  bool is_open_;
};

constexpr long kUnshared = CLONE_VM | CLONE_FILES;
constexpr char kOwn = 'o';
constexpr char kReplaced = 'r';
constexpr int kIsReplaced = 42;  // the child's exit status

long unshare_all() {
  return raw_syscall(__NR_unshare, kUnshared);
}

}  // namespace

bool is_alone_for_sure() {
  return !has_filters() && raw_syscall(__NR_unshare, CLONE_VM) == 0;
}

bool proves_to_be_alone() {
  if (program_filters_kill(Purpose::launching) || (has_filters() && kills(unshare_all))) return false;
  const Pipe own;
  const Pipe other;
  const Pipe go;
  if (!own.is_open() || !other.is_open() || !go.is_open()) return false;
  // One byte for the child, and one for this process if it still has the same table.
  if (!own.write(kOwn) || !other.write(kReplaced) || !other.write(kReplaced)) return false;
  const long child = create_child(CLONE_FILES);
  if (child == 0) {
    (void)raw_syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)go.read();
    (void)raw_syscall(__NR_dup3, other.reader(), own.reader(), O_CLOEXEC);
    end_process(own.read() == kReplaced ? kIsReplaced : 0);
  }
  if (failed(child)) return false;
  (void)unshare_all();
  if (!go.write(kOwn)) (void)raw_syscall(__NR_kill, child, SIGKILL);  // it would wait for ever
  return reap(child) == kIsReplaced << 8 && own.read() == kOwn;
}

}  // namespace libmseal::shim
