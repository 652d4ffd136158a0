// What the live tests need besides run(): programs in unusual environments, and the messages that they print.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/live/sealed.h"
#include "tests/support/catch.h"
#include "tests/support/folder.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"
#include "tests/support/waiting.h"

namespace libmseal::tests {

// What OWN_DATA_PROGRAM says that it may change of itself, without seals and with auto=elf.
inline const std::string kUnsealed = "text constants data bss mutable mutable_too vdso \n";
inline const std::string kSealed = "data bss mutable mutable_too vdso \n";

inline void expect_success(const Run& result) {
  INFO("stdout: " << result.out << "\nstderr: " << result.err);
  CHECK(result.status == 0);
}

// Runs a scenario of live_program, which must print nothing on standard error.
inline void scenario(const std::string& options, const std::string& name) {
  DYNAMIC_SECTION(name << " with " << options) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, name}));
    expect_success(result);
    CHECK(result.err == "");
  }
}

inline long count_lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

// A command under the preload as the user nobody, from copies in `folder` that everybody can read: the build
// may lie in a private one. They are the library, its supervisor and live_program.
inline Command as_nobody(const std::string& folder, const std::string& options,
                         std::vector<std::string> arguments) {
  namespace fs = std::filesystem;
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms(0755));
  for (const char* file : {LIVE_PROGRAM, LIBMSEAL_SO, MSEAL_SUPERVISOR})
    fs::copy_file(file, folder / fs::path(file).filename());
  Command command = preloaded(options, std::move(arguments));
  command.environment["LD_PRELOAD"] = folder + "/libmseal.so";
  command.prepare = [] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(124);
  };
  return command;
}

// A shell's command where /proc is not mounted; nothing where that can't be had.
inline std::optional<Run> without_proc(const std::string& command) {
  if (!needs(::geteuid() == 0, "root, to hide /proc")) return {};
  Run result =
      run({{"unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec " + command}, {}, {}, 60});
  INFO(result.err);
  if (!needs(result.err.find("unshare:") == std::string::npos, "unshare(2) of a mount namespace", "unshare"))
    return {};
  return result;
}

inline std::string text_in(const std::string& path) {
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

inline long count_in(const std::string& text, const std::string& wanted) {
  long count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) ++count;
  return count;
}

// The events in the file, a line each, without what it says of maps. The supervisor, which writes it, may be
// a moment behind.
inline std::string events_in(const std::string& path, long least) {
  std::string events;
  eventually([&] {
    events.clear();
    std::istringstream lines(text_in(path));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("\"maps\":") == std::string::npos) events += line + "\n";
    }
    return count_lines(events) >= least;
  });
  return events;
}

inline std::string log_with(const std::string& path, const std::string& wanted) {
  std::string text;
  CHECK(eventually([&] { return (text = text_in(path)).find(wanted) != std::string::npos; }));
  return text;
}

// The log of a supervisor whose tree has ended.
inline std::string whole_log(const std::string& path) {
  return log_with(path, "no process is left");
}

// For a test that has several images under backend=filters: where images are moved by little, they often meet
// the filters of their ancestors.
inline bool needs_room_between_images() {
  return needs(!kTextIsWatched, "x86_64, where images are far from each other", "room");
}

}  // namespace libmseal::tests
