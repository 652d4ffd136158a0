#include "shim/tool/features.h"

#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "policy/rules/abi.h"
#include "shim/common/child.h"
#include "shim/common/kernel_mseal.h"
#include "shim/common/machine.h"
#include "shim/common/raw_syscall.h"
#include "shim/common/seccomp_flags.h"
#include "shim/common/table_size.h"

namespace libmseal::tool {
namespace {

using shim::KernelMseal;
using shim::raw_syscall;

// The result of a child that was killed.
constexpr int kKilled = -1;

// Returns answer(), called in a child, because a filter may kill the caller. Answers are 0 to 255.
template <class Answer>
int in_child(Answer answer) {
  const long status = shim::run_in_child(answer);
  if (shim::failed(status)) return static_cast<int>(-status);
  return WIFEXITED(status) ? static_cast<int>(WEXITSTATUS(status)) : kKilled;
}

Feature mseal_call() {
  const char* const name = "mseal(2)";
  const std::string instead = "; seals are enforced by seccomp instead";
  switch (in_child([] { return static_cast<int>(shim::ask_kernel(shim::this_machine())); })) {
    case static_cast<int>(KernelMseal::works):
      return {name, true, ""};
    case static_cast<int>(KernelMseal::refused):
      return {name, false, "a seccomp profile refuses it (EPERM)" + instead};
    case kKilled:
      return {name, false,
              "a filter kills programs that call it: make the filter return an error; nothing is sealed"};
    default:
      if (mseal_is_answered()) return {name, false, "a seccomp profile answers it (ENOSYS)" + instead};
      return {name, false, "the kernel does not have it" + instead};
  }
}

// 0, an errno, or kKilled. Installs a real filter: with a bad pointer the kernel answers EFAULT even if
// another listener or a profile would refuse the filter.
int install_filter(unsigned long flags) {
  return in_child([flags] {
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog program{1, &allow};
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // A filter that pretends that the call succeeds does so for a bad pointer, too.
    if (raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, shim::kNowhere) == 0) return EPERM;
    const long result = raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return result < 0 ? static_cast<int>(-result) : 0;
  });
}

std::string why_no_filter(int error) {
  switch (error) {
    case kKilled:
      return "a filter kills programs that call seccomp(2), such as a service's SystemCallFilter=: allow the "
             "call there";
    case EPERM:
    case EACCES:
      return "a profile refuses seccomp(2), such as a container's or a service's SystemCallFilter=: allow "
             "the call there";
    default:
      return "the kernel has no seccomp filters, or something else answers seccomp(2)";
  }
}

Feature filters(int error) {
  return {"seccomp filters", error == 0,
          why_no_filter(error) + "; only libc calls are checked (backend libc)"};
}

// Whether this process runs in the tree of a libmseal supervisor, whose table it then has.
bool has_own_supervisor() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(shim::kTablePath) != std::string::npos) return true;
  }
  return false;
}

Feature listener(int filter, int error) {
  const char* const name = "seccomp listener";
  const std::string lost = "; no supervisor (backend filters); audits trace the program instead";
  if (filter != 0) return {name, false, "it needs seccomp filters"};
  switch (error) {
    case 0:
      return {name, true, ""};
    case EBUSY:
      if (has_own_supervisor()) return {name, true, ""};
      return {name, false, "another supervisor has one here, and the kernel allows only one (EBUSY)" + lost};
    case EINVAL:
      return {name, false,
              "the kernel is older than 5.0, or a container manager intercepts system calls (EINVAL)" + lost};
    case EMFILE:
    case ENFILE:
      return {name, false, "no file descriptor is left (ulimit -n)" + lost};
    default:
      return {name, false, why_no_filter(error) + lost};
  }
}

// Nothing in a sealed tree: its first filter answers before the kernel looks at the flag.
std::optional<Feature> wait_killable(bool has_listener) {
  const int error = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | shim::kWaitKillableRecv);
  if (error == EBUSY) return std::nullopt;
  return Feature{"WAIT_KILLABLE_RECV", has_listener && error == 0,
                 "a signal may restart a call that waits for the supervisor"};
}

Feature landlock() {
  const int answer = in_child([] {
    const long version = raw_syscall(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version >= 2 ? 0 : ENOSYS;
  });
  return {
      "Landlock", answer == 0,
      answer == kKilled ? "a filter kills programs that call it; no harden=proc_mem" : "no harden=proc_mem"};
}

constexpr int kAnswered = 1;

// To be called in a child: kAnswered if something answers mseal(2) before a listener hears of it; 0 if not.
int ask_who_answers() {
  sock_filter notify[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, policy::kMsealNumber, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(notify), notify};
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long listener =
      raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  std::array<int, 2> end_of_caller{};
  if (shim::failed(listener) || pipe(end_of_caller.data()) != 0) return 0;
  const pid_t caller = fork();
  if (caller < 0) return 0;
  if (caller == 0) {
    (void)raw_syscall(policy::kMsealNumber, 0, 0, 1);
    _exit(0);
  }
  close(end_of_caller[1]);
  std::array<pollfd, 2> first{{{static_cast<int>(listener), POLLIN, 0}, {end_of_caller[0], 0, 0}}};
  const bool notified = poll(first.data(), first.size(), -1) > 0 && (first[0].revents & POLLIN) != 0;
  kill(caller, SIGKILL);
  return notified ? 0 : kAnswered;
}

}  // namespace

bool mseal_is_answered() {
  return in_child(ask_who_answers) == kAnswered;
}

std::vector<Feature> features() {
  const int filter = install_filter(0);
  const Feature notify = listener(filter, install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER));
  std::vector<Feature> all{mseal_call()};
  if (all[0].present && shim::mseal_may_miss_mappings()) {
    all.push_back(
        {"mseal(2), complete", false,
         "Linux 6.17 to 6.19 may leave out mappings that merge (CVE-2026-23416), unless it was fixed "
         "there; each mapping is sealed alone"});
  }
  all.push_back(filters(filter));
  all.push_back(notify);
  if (const auto killable = wait_killable(notify.present)) all.push_back(*killable);
  all.push_back(landlock());
  all.push_back({"/proc", access("/proc/self/maps", R_OK) == 0, "nothing can be sealed"});
  return all;
}

}  // namespace libmseal::tool
