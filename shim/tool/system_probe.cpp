#include "shim/tool/system_probe.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <vector>

#include "shim/tool/child_output.h"
#include "shim/tool/places.h"
#include "shim/tool/program_file.h"

namespace libmseal::tool {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;
constexpr int kCannotBeNobody = 125;  // in a user namespace without that user

// A shell script that tests whether the library is loaded into the shell itself.
constexpr const char* kIsLoaded =
    "while read -r line; do case $line in *libmseal.so*) exit 0;; esac; done </proc/self/maps; exit 1";
constexpr int kHasNoNewPrivileges = 3;
constexpr const char* kNoNewPrivileges =
    "while read -r key value; do case $key$value in NoNewPrivs:1) exit 3;; esac; done </proc/self/status";

[[noreturn]] void become(const std::vector<std::string>& command, const std::string& library, uid_t user,
                         int out) {
  silence(0);
  dup2(out, 1);
  dup2(out, 2);
  clearenv();
  setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
  if (!library.empty()) setenv("LD_PRELOAD", library.c_str(), 1);
  if (user != 0 && (setgroups(0, nullptr) != 0 || setgid(user) != 0 || setuid(user) != 0))
    _exit(kCannotBeNobody);
  execute(command);
  dprintf(2, "%s: %s", command[0].c_str(), std::strerror(errno));
  _exit(127);
}

ChildOutput try_program(const std::vector<std::string>& command, const std::string& library, uid_t user) {
  constexpr int kPatience = 30'000;  // ms
  return output_of_child([&](int out) { become(command, library, user, out); }, kPatience);
}

bool only_root_writes(const fs::path& path) {
  struct stat file {};
  return lstat(path.c_str(), &file) == 0 && file.st_uid == 0 &&
         (S_ISLNK(file.st_mode) || (file.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

}  // namespace

std::string not_roots(const std::string& path) {
  fs::path at = "/";
  const fs::path start(path);
  std::deque<fs::path> left(start.begin(), start.end());
  constexpr int kMostLinks = 40;  // as the kernel
  for (int links = 0; !left.empty();) {
    const fs::path part = left.front();
    left.pop_front();
    if (!only_root_writes(at)) return at;
    if (part == "/" || part == "." || part.empty()) continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / part;
    if (!only_root_writes(next)) return next;
    if (!fs::is_symlink(fs::symlink_status(next))) {
      at = next;
      continue;
    }
    if (++links > kMostLinks) return next;
    const fs::path target = fs::read_symlink(next);
    if (target.is_absolute()) at = "/";
    left.insert(left.begin(), target.begin(), target.end());
  }
  return "";
}

bool has_our_name(const std::string& path) {
  return fs::path(path).filename().string().starts_with("libmseal.so");
}

std::string flaw_of_library(const std::string& library) {
  if (!library.starts_with('/')) return "is not an absolute path";
  for (const char character : library) {
    // Characters that separate names, begin a comment, or are expanded.
    if (std::isspace(static_cast<unsigned char>(character)) != 0 || std::strchr(":#$", character) != nullptr)
      return "has a character in its path that /etc/ld.so.preload can't hold";
  }
  if (!has_our_name(library))
    return "is not called libmseal.so, so that mseal system disable would not find it";
  std::error_code missing;
  if (!fs::exists(library, missing)) return "does not exist";
  if (!fs::is_regular_file(library, missing)) return "is not a regular file";
  const ProgramFile file = look_at_elf(library);
  if (!file.is_elf) return "is not an ELF file";
  if (file.other_machine) return "is built for another architecture";
  if (layout_of(library) == 0) return "is not libmseal";
  for (const std::string& one : {library, supervisor_of(library)}) {
    if (!fs::exists(one, missing)) return "needs " + one + ", which does not exist";
    if (const std::string weak = not_roots(one); !weak.empty())
      return "is not safe: users other than root can change " + weak;
  }
  return "";
}

std::string flaw_of_system() {
  const ProgramFile shell = look_at_program("/bin/sh");
  if (shell.path.empty()) return "there is no /bin/sh to try the library with";
  if (!shell.is_elf || shell.interpreter.empty())
    return "/bin/sh is static, so the library can't be tried with it";
  if (shell.interpreter.find("ld-musl") != std::string::npos)
    return "the C library is musl, whose dynamic linker does not read /etc/ld.so.preload: use LD_PRELOAD";
  if (shell.other_machine) return "/bin/sh is built for another architecture than this tool";
  return "";
}

std::string complaints_of_programs(const std::string& library) {
  const std::vector<std::vector<std::string>> commands{{"true"}, {"/bin/sh", "-c", kIsLoaded}};
  for (const uid_t user : {uid_t{0}, kNobody}) {
    for (const std::vector<std::string>& command : commands) {
      const ChildOutput probe = try_program(command, library, user);
      if (user != 0 && probe.status == kCannotBeNobody && probe.said.empty()) continue;
      if (probe.status == 0 && probe.said.empty()) continue;
      std::string what = command[0] + (user == 0 ? " as root" : " as nobody");
      if (!probe.said.empty()) return what + ": " + probe.said;
      if (command.size() > 1 && probe.status == 1) return what + " does not load the library";
      return what + " ends with status " + std::to_string(probe.status);
    }
  }
  return "";
}

bool takes_privileges_away(const std::string& library) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return false;  // it was set before
  return try_program({"/bin/sh", "-c", kNoNewPrivileges}, library, kNobody).status == kHasNoNewPrivileges;
}

}  // namespace libmseal::tool
