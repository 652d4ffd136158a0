// A child that is being born for as long as its parent likes: the kernel has given it a number, and waits for
// the page that takes its pidfd. The supervisor looks for new processes meanwhile, and once more when the
// parent has ended.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <csignal>
#include <thread>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

struct Shared {
  volatile bool number_given = false;
  volatile bool may_be_born = false;
  volatile bool born = false;
  volatile bool may_try = false;
};
Shared* g_shared = nullptr;

void wait_for(const volatile bool& what) {
  while (!what) ::sched_yield();
}

// Where the kernel waits until it is let go.
class Trap {
 public:
  Trap() : at_(map_at(0, kPage)), faults_(new_userfault()) {
    uffdio_api api{};
    api.api = UFFD_API;
    uffdio_register area{};
    area.range = {reinterpret_cast<std::uint64_t>(at_), kPage};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    if (faults_ < 0 || ::ioctl(faults_, UFFDIO_API, &api) != 0 ||
        ::ioctl(faults_, UFFDIO_REGISTER, &area) != 0)
      cannot_try("userfaultfd");
  }
  [[nodiscard]] char* at() const { return at_; }
  void wait() const {
    uffd_msg message{};
    pollfd wanted{faults_, POLLIN, 0};
    if (::poll(&wanted, 1, 10'000) != 1) cannot_try("CLONE_PIDFD");  // before Linux 5.2
    if (::read(faults_, &message, sizeof message) != static_cast<ssize_t>(sizeof message))
      cannot_try("userfaultfd");
  }
  void let_go() const {
    uffdio_zeropage zero{};
    zero.range = {reinterpret_cast<std::uint64_t>(at_), kPage};
    if (::ioctl(faults_, UFFDIO_ZEROPAGE, &zero) != 0) cannot_try("userfaultfd");
  }

 private:
  // Faults in the kernel are for root, or behind the device, which kernels since 6.1 have.
  static int new_userfault() {
    const long by_call = raw_syscall(__NR_userfaultfd, O_CLOEXEC);
    if (!libmseal::shim::failed(by_call)) return static_cast<int>(by_call);
    constexpr unsigned long kNew = 0xAA00;  // USERFAULTFD_IOC_NEW
    const int device = ::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0) cannot_call("userfaultfd", by_call);
    return static_cast<int>(raw_syscall(__NR_ioctl, device, kNew, O_CLOEXEC));
  }

  char* at_;
  int faults_;
};

[[noreturn]] void live_as_child(const Victim& victim) {
  g_shared->born = true;
  wait_for(g_shared->may_try);
  const long answer = raw_syscall(__NR_mprotect, victim.at(), victim.size(), PROT_READ | PROT_WRITE);
  ::_exit(conclude(victim, "mprotect by the child", answer));
}

[[noreturn]] void live_as_parent() {
  const Victim victim = Victim::supervised_page();
  const Trap trap;
  std::thread maker([&] {
    const long child = raw_syscall(__NR_clone, SIGCHLD | CLONE_PIDFD, 0, trap.at(), 0, 0);
    if (child == 0) live_as_child(victim);
    if (child < 0) cannot_try("clone");
  });
  trap.wait();
  g_shared->number_given = true;
  wait_for(g_shared->may_be_born);
  trap.let_go();
  maker.join();
  wait_for(g_shared->born);
  ::_exit(kHeld);
}

}  // namespace

int main() {
  ::setvbuf(stdout, nullptr, _IONBF, 0);
  g_shared = reinterpret_cast<Shared*>(map_at(0, kPage, MAP_SHARED));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const Victim first = Victim::page(0x3100'0000);
  const int parent = ::fork();
  if (parent == 0) live_as_parent();
  // One after the other without delay: what is born in a few milliseconds is looked for by its number.
  while (!g_shared->number_given) {
    if (::waitpid(parent, nullptr, WNOHANG) == parent) return kCannotTry;
    ::sched_yield();
  }
  const Victim second = Victim::page(0x3200'0000);
  g_shared->may_be_born = true;
  if (outcome_of(parent) != kHeld) return kCannotTry;
  const Victim third = Victim::page(0x3300'0000);
  g_shared->may_try = true;
  return outcome_of(-1);
}
