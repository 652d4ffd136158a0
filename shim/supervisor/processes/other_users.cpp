#include "shim/supervisor/processes/other_users.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shim/common/killed_calls.h"

namespace libmseal::supervisor {
namespace {

constexpr bool has(std::uint64_t capabilities, unsigned one) {
  return (capabilities >> one & 1) != 0;
}

}  // namespace

OtherUsers::OtherUsers(std::uint64_t capabilities)
    : may_be_needed_(has(capabilities, CAP_SETUID) && has(capabilities, CAP_SETGID) &&
                     !has(capabilities, CAP_SYS_PTRACE)),
      own_{geteuid(), getegid()} {}

void OtherUsers::AsUser::become(const UserAndGroup& who) {
  (void)setfsgid(who.group);
  (void)setfsuid(who.user);
}

// The kernel sets the "dumpable" attribute to fs.suid_dumpable when the user changes (kernel/cred.c,
// commit_creds). If that is 1, any process of this user could attach to this one.
bool OtherUsers::is_possible() {
  if (!may_be_needed_) return false;
  if (is_possible_) return *is_possible_;
  constexpr UserAndGroup kNobody{65534, 65534};
  const auto become_nobody = [&] { const AsUser as(kNobody, own_); };
  is_possible_ = false;
  if (shim::has_filters() && shim::kills(become_nobody)) return false;
  become_nobody();
  const bool stays_protected = prctl(PR_GET_DUMPABLE) != 1;
  if (!stays_protected) (void)prctl(PR_SET_DUMPABLE, 0);
  is_possible_ = stays_protected;
  return stays_protected;
}

}  // namespace libmseal::supervisor
