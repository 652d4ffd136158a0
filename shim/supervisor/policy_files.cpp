#include "shim/supervisor/policy_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "shim/common/policy_path.h"

namespace libmseal::supervisor {
namespace {

std::string why_not(long error) {
  return error == shim::kNoRegularFile ? "it is not a regular file" : std::strerror(static_cast<int>(-error));
}

// Reads the whole file: 0 or -errno.
long read_file(const char* path, std::string& text) {
  const long opened = shim::open_policy_file(path);
  if (shim::failed(opened)) return opened;
  const int file = static_cast<int>(opened);
  long result = 0;
  char part[4096];
  for (ssize_t got = 0; result == 0 && (got = read(file, part, sizeof part)) != 0;) {
    if (got < 0) {
      if (errno != EINTR) result = -errno;
      continue;
    }
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > shim::kMostPolicyBytes) result = -EFBIG;  // files of /proc may have size 0
  }
  close(file);
  return result;
}

}  // namespace

PolicyFiles::PolicyFiles(std::span<const char* const> paths) {
  for (const char* const path : paths) {
    std::string text;
    if (const long error = read_file(path, text); error != 0) {
      complaints_ += std::string(path) + ": can't be read: " + why_not(error) + "\n";
      continue;
    }
    std::vector<policy::PolicyError> errors;
    policy::PolicyFile read = policy::read_policy(text, errors);
    for (const policy::PolicyError& error : errors)
      complaints_ += std::string(path) + ":" + error.text() + "\n";
    if (errors.empty()) files_.push_back(std::move(read));
  }
}

std::string PolicyFiles::options_for(Proc* proc, pid_t process, const std::string& otherwise) const {
  if (files_.empty()) return {};
  const std::string program =
      proc != nullptr ? proc->path_of_program(task_with_memory(*proc, process)) : std::string();
  return policy::options_for(files_, program.empty() ? otherwise : program);
}

}  // namespace libmseal::supervisor
