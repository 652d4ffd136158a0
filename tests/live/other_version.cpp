// A supervisor of another version than the library's. As the supervisor of a library it offers what that
// can't use; with a command line it starts that program in a tree which it serves, and gives it a table that
// can't be used.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

#include "policy/protocol/control.h"
#include "shim/common/descriptor_message.h"
#include "shim/common/seal_table.h"
#include "tests/support/filters.h"

namespace {

using namespace libmseal;

constexpr std::uint32_t kOther = policy::kLayoutVersion + 1;
constexpr int kHandoverSocket = 3;

int make_table() {
  const int table = memfd_create("libmseal-table", MFD_CLOEXEC);
  if (table < 0 || ftruncate(table, shim::kTableBytes) != 0) _exit(3);
  const std::array<std::uint64_t, 2> start{shim::kTableMagic, kOther};
  if (write(table, start.data(), sizeof start) != sizeof start) _exit(3);
  return table;
}

void send_with(int socket, const void* data, std::size_t size, int descriptor) {
  iovec part{const_cast<void*>(data), size};
  shim::DescriptorMessage message({&part, 1});
  if (sendmsg(socket, message.with(descriptor), 0) < 0) _exit(4);
}

// Every mseal is notified, and no second listener admitted.
int install_listener() {
  std::array<sock_filter, 8> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, policy::kMsealNumber, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_seccomp, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SECCOMP_FILTER_FLAG_NEW_LISTENER, 2, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
  }};
  return static_cast<int>(tests::install_filter(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER));
}

// Until the tree has ended. The child's status is in `status` then; before Linux 6.11 one that nobody has
// waited for holds on to its filters.
void serve(int listener, int table, pid_t child, int& status) {
  bool waited = false;
  while (true) {
    waited = waited || waitpid(child, &status, WNOHANG) == child;
    pollfd wanted{listener, POLLIN, 0};
    if (poll(&wanted, 1, waited ? -1 : 50) <= 0) continue;
    if ((wanted.revents & POLLIN) == 0) break;
    seccomp_notif asked{};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
    seccomp_notif_resp answer{asked.id, 0, -ENOSYS, 0};
    const bool hello = asked.data.args[3] == policy::kControlMagic && asked.data.args[2] == 1;
    if (hello) {
      seccomp_notif_addfd given{};
      given.id = asked.id;
      given.srcfd = static_cast<std::uint32_t>(table);
      answer.val = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given);
      answer.error = 0;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  if (!waited) waitpid(child, &status, 0);
}

}  // namespace

int main(int count, char** arguments) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kHandoverSocket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET) {
    policy::Ready ready;
    ready.version = kOther;
    send_with(kHandoverSocket, &ready, sizeof ready, make_table());
    return 0;
  }
  std::array<int, 2> ends{};
  if (count < 2 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return 2;
  const pid_t child = fork();
  if (child == 0) {
    setenv("LD_PRELOAD", LIBMSEAL_SO, 1);
    const int listener = install_listener();
    if (listener < 0) _exit(5);
    send_with(ends[1], "", 1, listener);
    close(listener);
    execv(arguments[1], arguments + 1);
    _exit(126);
  }
  char byte = 0;
  iovec part{&byte, 1};
  shim::DescriptorMessage message({&part, 1});
  if (recvmsg(ends[0], message.to_receive(), MSG_CMSG_CLOEXEC) <= 0) return 6;
  int status = 0;
  serve(message.descriptor(), make_table(), child, status);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 7;
}
