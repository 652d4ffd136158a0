// Reads files of tasks in /proc, with the rights of their users if that is needed and possible.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "policy/parsers/stat_line.h"
#include "shim/common/proc_root.h"
#include "shim/supervisor/processes/other_users.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

// The result of a read that returned 0 or -errno.
template <class T>
ReadResult<T> read_result(long result, T value) {
  if (result == 0) return ReadResult<T>::seen(std::move(value));
  const bool gone = result == -ESRCH || result == -ENOENT;
  return gone ? ReadResult<T>::gone() : ReadResult<T>::unknown();
}

class TaskFiles {
 public:
  // Calls look(), until its result is not hidden. Each file of /proc is checked when it is opened or when it
  // is read, so look() has to do both.
  template <class Look>
  auto inspect(long task, Look look) {
    const auto find_user = [&]() -> std::optional<UserAndGroup> {
      shim::TaskStatus status;
      if (shim::read_status(root_, task, status) != 0 || status.user < 0 || status.group < 0)
        return std::nullopt;
      return UserAndGroup{static_cast<uid_t>(status.user), static_cast<gid_t>(status.group)};
    };
    return users_.inspect(
        look, [](const auto& result) { return is_hidden(result); }, find_user);
  }
  [[nodiscard]] const shim::ProcRoot& root() const { return root_; }
  // This process's, in effect or permitted; all if that is not known.
  [[nodiscard]] std::uint64_t capabilities(std::string_view key) const {
    std::uint64_t set = ~0ULL;
    (void)shim::visit_status(root_, shim::ProcPath("self/status"), [&](std::string_view line) {
      const std::string_view digits = shim::after_key(line, key);
      std::from_chars(digits.data(), digits.data() + digits.size(), set, 16);
      return digits.empty();
    });
    return set;
  }

 private:
  static bool is_hidden(long result) { return result == -EACCES || result == -EPERM; }
  static bool is_hidden(const ReadResult<policy::StatLine>& line) {
    return line.is_seen() && line->is_hidden();
  }

  shim::ProcRoot root_;
  OtherUsers users_{capabilities("CapEff:\t")};
};

}  // namespace libmseal::supervisor
