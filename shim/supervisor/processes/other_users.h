// Inspecting the processes of other users without CAP_SYS_PTRACE, as in a container.
//
// A process may read another one's files in /proc if its file system user and group are the user and group of
// that process (kernel/ptrace.c, __ptrace_may_access). So a supervisor that may change its user takes on
// those of the process while it looks. Its real user stays the same, so nobody may send it signals meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "shim/common/no_copy.h"

namespace libmseal::supervisor {

struct UserAndGroup {
  uid_t user = 0;
  gid_t group = 0;

  bool operator==(const UserAndGroup&) const = default;
};

class OtherUsers {
 public:
  // `capabilities`: those in effect.
  explicit OtherUsers(std::uint64_t capabilities);

  // Calls look() with the rights of this process, and as long as hidden(result) holds, with those of the user
  // that was needed last, and of `find_user()`. Returns the last result.
  template <class Look, class Hidden, class FindUser>
  auto inspect(Look look, Hidden hidden, FindUser find_user) {
    auto result = look();
    if (!hidden(result) || !is_possible()) return result;
    const auto look_as = [&](const UserAndGroup& who) {
      const AsUser as(who, own_);
      result = look();
      return !hidden(result);
    };
    if (last_ && look_as(*last_)) return result;
    const std::optional<UserAndGroup> who = find_user();
    if (!who || who == own_ || who == last_) return result;
    if (look_as(*who)) last_ = who;
    return result;
  }

 private:
  class AsUser : shim::NoCopy {
   public:
    AsUser(const UserAndGroup& who, const UserAndGroup& own) : own_(own) { become(who); }
    ~AsUser() { become(own_); }

   private:
    static void become(const UserAndGroup& who);
    UserAndGroup own_;
  };

  [[nodiscard]] bool is_possible();

  bool may_be_needed_;
  std::optional<bool> is_possible_;  // nothing: not tried yet
  UserAndGroup own_;
  std::optional<UserAndGroup> last_;
};

}  // namespace libmseal::supervisor
