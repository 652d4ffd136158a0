// Loaded into a real program and run there: what a call costs under its seals and filters.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "shim/common/raw_syscall.h"

namespace {

using libmseal::shim::raw_syscall;

long install(std::initializer_list<sock_filter> filter, unsigned flags) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.begin())};
  const long result =
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
  if (result < 0) std::abort();
  return result;
}

constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr std::uint32_t kFirstArgument = offsetof(seccomp_data, args);

// The least that any filter on arguments costs: one argument read, for the calls in question.
void install_floor() {
  install({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 3, 0),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_munmap, 2, 0),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mprotect, 1, 0),
           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFirstArgument),
           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xFFFFFFFF, 0, 1),
           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
          0);
}

// What any supervisor has to do, and nothing else: be told of every such call, and let it go on.
// `synchronous`: woken on the processor of the caller (Linux 6.6), and without poll().
void install_notify_everything(bool synchronous) {
  const long listener = install(
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 3, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_munmap, 2, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mprotect, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)},
      SECCOMP_FILTER_FLAG_NEW_LISTENER);
  const long program = raw_syscall(__NR_getpid);
  if (raw_syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0) != 0) return;
  // In the child: nothing here may make a call that is notified.
  for (int stream = 0; stream <= 2; ++stream) (void)raw_syscall(__NR_close, stream);
  static seccomp_notif notification;
  constexpr unsigned long kSetFlags = _IOW('!', 4, std::uint64_t);  // SECCOMP_IOCTL_NOTIF_SET_FLAGS
  if (synchronous) {
    (void)raw_syscall(__NR_ioctl, listener, kSetFlags, 1);
    (void)raw_syscall(__NR_setpriority, PRIO_PROCESS, 0, -10);
    (void)raw_syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  }
  while (synchronous || raw_syscall(__NR_kill, program, 0) == 0) {
    pollfd wanted{static_cast<int>(listener), POLLIN, 0};
    const timespec timeout{0, 100'000'000};
    if (!synchronous && raw_syscall(__NR_ppoll, &wanted, 1, &timeout, nullptr, 0) != 1) continue;
    std::memset(&notification, 0, sizeof notification);
    if (raw_syscall(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) continue;
    seccomp_notif_resp response{notification.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    (void)raw_syscall(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
  }
  (void)raw_syscall(__NR_exit_group, 0);
}

void* own_text() {
  std::FILE* const maps = std::fopen("/proc/self/maps", "re");
  unsigned long start = 0;
  unsigned long end = 0;
  char protection[8] = {};
  while (maps != nullptr && std::fscanf(maps, "%lx-%lx %7s%*[^\n]", &start, &end, protection) == 3) {
    if (std::string_view(protection) == "r-xp") break;
  }
  if (maps != nullptr) std::fclose(maps);
  return reinterpret_cast<void*>(start);
}

template <class Call>
double nanoseconds_per_call(int count, Call call) {
  for (int index = 0; index < count / 10; ++index) call();
  const auto start = std::chrono::steady_clock::now();
  for (int index = 0; index < count; ++index) call();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / count;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void libmseal_bench(const char* mode) {
  void* const page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const std::string_view wanted = mode;
  if (wanted == "floor") install_floor();
  const bool least = wanted == "least";
  if (wanted == "notify" || least) install_notify_everything(least);
  const int count = wanted == "notify" || wanted == "few" || least ? 20'000 : 300'000;
  const double protect =
      nanoseconds_per_call(count, [page] { (void)raw_syscall(__NR_mprotect, page, 0, PROT_READ); });
  const double pair = nanoseconds_per_call(count, [] {
    const long at = raw_syscall(__NR_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)raw_syscall(__NR_munmap, at, 4096);
  });
  const double parent = nanoseconds_per_call(300'000, [] { (void)raw_syscall(__NR_getppid); });
  // What is refused under seals: the same protection once more, for the program's own text.
  void* const text = own_text();
  const double refused = nanoseconds_per_call(
      count, [text] { (void)raw_syscall(__NR_mprotect, text, 4096, PROT_READ | PROT_EXEC); });
  std::printf("%f %f %f %f\n", protect, pair, parent, refused);
  std::fflush(stdout);
}
