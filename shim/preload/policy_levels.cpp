#include "shim/preload/policy_levels.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "shim/common/raw_syscall.h"
#include "shim/preload/helper.h"
#include "shim/preload/message.h"
#include "shim/preload/table_reader.h"
#include "shim/preload/text.h"

namespace libmseal::shim {
namespace {

constexpr std::string_view kSystemPolicy = "/etc/libmseal/policy.toml";
constexpr std::string_view kName = "/libmseal/policy.toml";

// In programs with the rights of somebody else the environment has no say.
std::string_view variable(const char* name) {
  const char* const value = secure_getenv(name);
  return value != nullptr ? value : "";
}

void add_level(State& state, std::initializer_list<std::string_view> parts, bool must_be_there) {
  auto& path = state.policies[state.policy_count];
  if (!copy_text(path, parts)) {
    Message() << "a policy file's path is too long; it does not apply";
    return;
  }
  const bool there = raw_syscall(__NR_faccessat, AT_FDCWD, path.data(), F_OK) == 0;
  if (there || must_be_there) ++state.policy_count;
}

void find_levels(State& state) {
  state.policy_count = 0;
  if (state.options.policy == "none") return;
  add_level(state, {kSystemPolicy}, false);
  if (const std::string_view folder = variable("XDG_CONFIG_HOME"); folder.starts_with('/')) {
    add_level(state, {folder, kName}, false);
  } else if (const std::string_view home = variable("HOME"); home.starts_with('/')) {
    add_level(state, {home, "/.config", kName}, false);
  }
  if (!state.options.policy.empty()) add_level(state, {state.options.policy}, true);
}

// Of the supervisor that this tree has, or of one that is new. Null, with a line that says why, if there is
// none.
const void* table_with_policy(State& state, Launch& launch) {
  if (const long joined = tell_supervisor({policy::Control::Kind::hello, {}}); joined >= 0)
    return map_table(joined);
  long error = launch.start(state);
  if (error == 0) error = launch.wait_ready();
  if (error == 0) return launch.table();
  Message() << "the policy files are not read: the supervisor (" << state.helper.data()
            << ") could not be started, " << text_of_error(error);
  return nullptr;
}

void print_complaints(std::string_view complaints) {
  while (!complaints.empty()) {
    std::string_view line = complaints;
    const std::size_t size = std::min(complaints.find('\n'), complaints.size());
    line.remove_suffix(complaints.size() - size);
    complaints.remove_prefix(std::min(size + 1, complaints.size()));
    Message() << line << "; it does not apply";
  }
}

// True if all of them could be read.
bool read_levels(State& state, Launch& launch) {
  const void* const table = table_with_policy(state, launch);
  if (table == nullptr) return false;
  const std::string_view complaints = table_complaints(table);
  (void)copy_text(state.policy_text, {table_policy(table)});
  const bool good = complaints.empty();
  print_complaints(complaints);
  if (table != launch.table()) unmap_table(table);
  return good;
}

}  // namespace

void read_options(State& state, std::string_view own_path, Launch& launch) {
  const policy::Options defaults = state.options;
  const std::string_view text = variable("MSEAL_OPTIONS");
  bool good = true;
  if (!copy_text(state.option_text, {text})) {
    Message() << "MSEAL_OPTIONS is too long: at most " << static_cast<long>(state.option_text.size() - 1)
              << " bytes; none of it applies";
    good = false;
  }
  policy::parse_options(state.option_text.data(), state.options, [&](const policy::OptionError& error) {
    Message() << "MSEAL_OPTIONS: " << error.key << "=" << error.value
              << " is not understood; allowed: " << error.allowed;
    good = false;
  });
  find_helper(state, own_path);
  find_levels(state);
  if (state.policy_count != 0) {
    good = read_levels(state, launch) && good;
    const auto ignore = [](const policy::OptionError&) {};  // said above, or by whoever read the files
    state.options = defaults;
    policy::parse_options(state.policy_text.data(), state.options, ignore);
    state.policy_options = state.options;
    state.options.skip = state.options.changing = {};
    policy::parse_options(state.option_text.data(), state.options, ignore);
  }
  const bool strict = state.options.strict || text.find("strict=1") != std::string_view::npos;
  if (good || !strict) return;
  Message() << "strict=1: the program is not started";
  give_up();
}

}  // namespace libmseal::shim
