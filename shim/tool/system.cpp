// mseal system: loads the library into every program of the system.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "policy/configuration/options.h"
#include "shim/common/policy_path.h"
#include "shim/tool/command.h"
#include "shim/tool/places.h"
#include "shim/tool/policy_reader.h"
#include "shim/tool/system_probe.h"
#include "shim/tool/text_file.h"

namespace libmseal::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kList = "/etc/ld.so.preload";
constexpr const char* kPolicy = shim::kSystemPolicy;
constexpr std::string_view kSeparators = " \t:";  // within a line, as for the dynamic linker

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error(why + "; nothing is changed");
}

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

// Changes the root: from then on all paths refer to that system.
void enter(const std::string& root) {
  if (root.empty()) return;
  if (chroot(root.c_str()) != 0 || chdir("/") != 0) fail("--root=" + root);
}

void must_be_root() {
  if (geteuid() != 0) throw std::runtime_error("this needs root");
}

// The contents of the list; nothing if there is no such file.
std::optional<std::string> read_list() {
  struct stat file {};
  if (lstat(kList, &file) != 0 && errno == ENOENT) return {};
  if (!S_ISREG(file.st_mode)) refuse(std::string(kList) + " is not a regular file");
  constexpr std::size_t kLargest = std::size_t{1} << 16;
  return TextFile(kList).whole(kLargest);
}

struct List {
  std::vector<std::string> ours;  // its entries for this library
  std::string others;             // the rest of its text
};

List take_apart(const std::string& text) {
  List list;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t comment = std::min(line.find('#'), line.size());
    std::string rest;
    bool has_ours = false;
    for (std::size_t begin = 0; begin < comment;) {
      const std::size_t end = std::min(line.find_first_of(kSeparators, begin), comment);
      const std::string name = line.substr(begin, end - begin);
      begin = end + 1;
      if (name.empty()) continue;
      if (has_our_name(name)) {
        list.ours.push_back(name);
        has_ours = true;
      } else {
        rest += (rest.empty() ? "" : " ") + name;
      }
    }
    if (!has_ours) {
      list.others += line + "\n";
      continue;
    }
    rest += line.substr(comment);
    if (!rest.empty()) list.others += rest + "\n";
  }
  return list;
}

// Replaces the file atomically: a program that starts meanwhile reads the old or the new one.
void write_list(const std::optional<std::string>& text) {
  const std::string list = kList;
  if (!text) {
    if (unlink(kList) != 0 && errno != ENOENT) fail(list + " can't be removed");
  } else {
    std::string fresh = list + ".XXXXXX";
    const int file = mkostemp(fresh.data(), O_CLOEXEC);
    if (file < 0) fail(fresh);
    bool good = fchmod(file, 0644) == 0 && write_all(file, *text) && fsync(file) == 0;
    good = close(file) == 0 && good && rename(fresh.c_str(), kList) == 0;
    if (!good) {
      const int why = errno;
      unlink(fresh.c_str());
      errno = why;
      fail(list + " can't be written, and is unchanged");
    }
  }
  const int folder = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  (void)fsync(folder);
  close(folder);
}

void say_how_to_undo(const std::string& library, bool has_others) {
  std::printf("To undo it: mseal system disable\n");
  if (has_others) {
    std::printf("If programs no longer start: in a rescue system, remove %s from etc/ld.so.preload.\n",
                library.c_str());
  } else {
    std::printf(
        "If programs no longer start: in a root shell that is still open, run `: >/etc/ld.so.preload`;\n"
        "in a rescue system, with this one mounted on /mnt, run `rm /mnt/etc/ld.so.preload`.\n");
  }
}

// What is wrong with the system's policy file; empty if nothing is.
std::string flaw_of_policy() {
  std::error_code missing;
  if (!fs::exists(kPolicy, missing)) return "";
  if (const std::string weak = not_roots(kPolicy); !weak.empty())
    return std::string(kPolicy) + " is not safe: users other than root can change " + weak;
  const PolicyLevel level = read_regular_policy_file(kPolicy);
  return level.applies() ? "" : level.errors.front() + "; it does not apply";
}

void must_be_harmless(const std::string& library, bool no_setuid) {
  if (const std::string flaw = flaw_of_library(library); !flaw.empty()) refuse(library + " " + flaw);
  if (const std::string flaw = flaw_of_system(); !flaw.empty()) refuse(flaw);
  if (const std::string flaw = flaw_of_policy(); !flaw.empty()) refuse(flaw);
  if (const std::string said = complaints_of_programs(library); !said.empty())
    refuse("programs do not start as they should with " + library + ": " + said);
  if (!no_setuid && takes_privileges_away(library)) {
    refuse(
        "the kernel has no mseal(2), or the policy does not use it, so programs of ordinary users would get "
        "no_new_privs, and sudo, su and other setuid programs would stop working for them: let the policy "
        "seal only services (libmseal-services(7)), or accept this with --no-setuid");
  }
}

// Whether the policy seals init, which starts all other programs.
bool seals_init() {
  constexpr const char* kInit = "/sbin/init";
  std::error_code missing;
  if (!fs::exists(kInit, missing)) return false;
  std::vector<PolicyLevel> levels;
  if (fs::exists(kPolicy, missing)) levels.push_back(read_regular_policy_file(kPolicy));
  policy::Options options;
  options.auto_seal = policy::AutoSeal::elf;
  policy::parse_options(options_of(levels, kInit), options);
  return options.auto_seal != policy::AutoSeal::off;
}

}  // namespace

int enable_system(const SystemChoice& choice) {
  must_be_root();
  const std::string library = choice.library.empty() ? find_library() : choice.library;
  enter(choice.root);
  must_be_harmless(library, choice.no_setuid);
  const std::optional<std::string> before = read_list();
  const List list = take_apart(before.value_or(""));
  if (list.ours == std::vector<std::string>{library}) {
    std::printf("%s already names %s.\n", kList, library.c_str());
    return kDone;
  }
  write_list(library + "\n" + list.others);
  if (const std::string said = complaints_of_programs(""); !said.empty()) {
    write_list(before);
    throw std::runtime_error("programs did not start as they should, so " + std::string(kList) +
                             " has been restored: " + said);
  }
  std::printf("%s names %s: every program that starts now loads it.\n", kList, library.c_str());
  say_how_to_undo(library, !list.others.empty());
  // Only the kernel's own seals need no supervisor.
  if (takes_privileges_away(library) && seals_init()) {
    std::printf(
        "Warning: from the next boot on, init is sealed too, and all programs depend on its supervisor: let "
        "the policy leave systemd alone (libmseal-services(7)).\n");
  }
  return kDone;
}

int disable_system(const SystemChoice& choice) {
  must_be_root();
  enter(choice.root);
  const std::optional<std::string> before = read_list();
  const List list = take_apart(before.value_or(""));
  if (list.ours.empty()) {
    std::printf("%s does not name libmseal.so: nothing to do.\n", kList);
    return kDone;
  }
  write_list(list.others.empty() ? std::nullopt : std::optional(list.others));
  std::printf(
      "%s: programs that start now do not load libmseal.so. Those that run keep their seals.\n",
      list.others.empty() ? "/etc/ld.so.preload is removed" : "/etc/ld.so.preload keeps its other lines");
  return kDone;
}

namespace {

// False if programs do not start as they should. Only root can try that.
bool show_trial() {
  if (geteuid() != 0) return true;
  const std::string said = complaints_of_programs("");
  if (said.empty()) {
    std::printf("Programs of root and of nobody start as they should.\n");
  } else {
    std::printf("Programs do not start as they should: %s\n", said.c_str());
  }
  return said.empty();
}

}  // namespace

int show_system(const SystemChoice& choice) {
  enter(choice.root);
  const List list = take_apart(read_list().value_or(""));
  bool good = !list.ours.empty();
  if (!good) std::printf("%s: does not name libmseal.so\n", kList);
  for (const std::string& library : list.ours) {
    const std::string flaw = flaw_of_library(library);
    good = good && flaw.empty();
    std::printf("%s: names %s, which %s\n", kList, library.c_str(),
                flaw.empty() ? "every program loads" : flaw.c_str());
  }
  if (good && choice.root.empty()) good = show_trial();  // another system may not be able to run programs
  std::error_code missing;
  if (!fs::exists(kPolicy, missing)) {
    std::printf("%s: does not exist, so the defaults apply\n", kPolicy);
    return good ? kDone : kNo;
  }
  if (const std::string flaw = flaw_of_policy(); !flaw.empty()) {
    std::printf("%s\n", flaw.c_str());
    return kNo;
  }
  const PolicyLevel level = read_regular_policy_file(kPolicy);
  std::printf("%s: applies\n", kPolicy);
  for (const policy::ProgramRule& rule : level.policy.programs) {
    if (rule.name.empty() && rule.options.empty()) continue;
    std::printf("  %s: %s\n", rule.name.empty() ? "all programs" : rule.name.c_str(),
                rule.options.empty() ? "rules for objects" : rule.options.c_str());
  }
  return good ? kDone : kNo;
}

}  // namespace libmseal::tool
