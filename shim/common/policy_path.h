// Where policy files are, and how they are opened. Their paths come from users and may lead to any kind of
// file.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

inline constexpr const char* kSystemPolicy = "/etc/libmseal/policy.toml";

// The path of the user's policy file is `folder` and `rest`. Both are empty if there is none.
struct UserPolicy {
  std::string_view folder;
  std::string_view rest;
};
// `variable`: getenv or secure_getenv.
inline UserPolicy find_user_policy(char* (*variable)(const char*)) {
  const auto folder = [&](const char* name) -> std::string_view {
    const char* const value = variable(name);
    return value != nullptr && *value == '/' ? value : "";
  };
  if (const std::string_view own = folder("XDG_CONFIG_HOME"); !own.empty())
    return {own, "/libmseal/policy.toml"};
  if (const std::string_view home = folder("HOME"); !home.empty())
    return {home, "/.config/libmseal/policy.toml"};
  return {};
}

inline constexpr std::size_t kMostPolicyBytes = std::size_t{1} << 20;
inline constexpr long kNoRegularFile = -ENOTSUP;  // a result of open_policy_file

// Whether a policy may be read from it: a pipe could block every start, and a device may be endless. A link
// to /dev/null is the usual way to say that there is no policy.
inline bool may_hold_policy(const struct stat& file) {
  constexpr dev_t kNull = 0x103;
  return S_ISREG(file.st_mode) || (S_ISCHR(file.st_mode) && file.st_rdev == kNull);
}

// A descriptor, or -errno. kNoRegularFile: no policy may be read from it.
// EFBIG: it has more than kMostPolicyBytes.
inline long open_policy_file(const char* path) {
  const long file = raw_syscall(__NR_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (failed(file)) return file;
  struct stat status {};
  long wrong = raw_syscall(__NR_fstat, file, &status);
  if (wrong == 0 && !may_hold_policy(status)) wrong = kNoRegularFile;
  if (wrong == 0 && status.st_size > static_cast<off_t>(kMostPolicyBytes)) wrong = -EFBIG;
  if (wrong == 0) return file;
  (void)raw_syscall(__NR_close, file);
  return wrong;
}

}  // namespace libmseal::shim
