#include "shim/preload/read_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "policy/configuration/binding_rule.h"
#include "policy/parsers/text.h"
#include "shim/common/line_reader.h"
#include "shim/common/policy_path.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/process/own_proc.h"
#include "shim/preload/process/printed_notices.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {
namespace {

// Concatenates the texts. False, with an empty result, if they do not fit.
template <std::size_t Size>
bool copy_text(std::array<char, Size>& to, std::initializer_list<std::string_view> texts) {
  std::size_t used = 0;
  for (const std::string_view text : texts) {
    if (text.size() >= Size - used) {
      to[0] = '\0';
      return false;
    }
    std::memcpy(to.data() + used, text.data(), text.size());
    used += text.size();
  }
  to[used] = '\0';
  return true;
}

// Sets state.supervisor_path: the option `supervisor`, else a file next to this object, else the installed
// one.
void find_supervisor(State& state) {
  constexpr std::string_view kName = "mseal-supervisor";
  auto& path = state.supervisor_path;
  if (!state.options.supervisor.empty()) {
    (void)copy_text(path, {state.options.supervisor});
    return;
  }
  std::string_view directory = state.library_path;
  directory.remove_suffix(policy::last_component(directory).size());
  if (copy_text(path, {directory, kName}) && raw_syscall(__NR_faccessat, AT_FDCWD, path.data(), X_OK) == 0)
    return;
  (void)copy_text(path, {directory, LIBMSEAL_SUPERVISOR_DIRECTORY, kName});
}

// False if the path is too long.
bool add_level(State& state, std::initializer_list<std::string_view> parts, bool must_be_there) {
  auto& path = state.policies[state.policy_count];
  if (!copy_text(path, parts)) {
    Message() << "a policy file's path is too long; it does not apply";
    return false;
  }
  const long found = raw_syscall(__NR_faccessat, AT_FDCWD, path.data(), F_OK);
  const bool absent = found == -ENOENT || found == -ENOTDIR || found == -EACCES;  // or in a folder of others
  if (!absent || must_be_there) ++state.policy_count;
  return true;
}

// False if the path of one is too long.
bool find_levels(State& state) {
  state.policy_count = 0;
  if (state.options.policy == "none") return true;
  bool good = add_level(state, {kSystemPolicy}, false);
  // The environment is ignored in programs that gain privileges.
  if (const UserPolicy user = find_user_policy(secure_getenv); !user.folder.empty())
    good = add_level(state, {user.folder, user.rest}, false) && good;
  if (!state.options.policy.empty()) good = add_level(state, {state.options.policy}, true) && good;
  return good;
}

// The table of this tree's supervisor, or of a new one. Null if there is none.
const void* table_with_policy(State& state, SupervisorLaunch& launch, Reason& why) {
  // Where a filter kills callers of mseal(2), there is no tree.
  if (const long joined = state.is_barred() ? -ENOSYS : ask_to_join(); joined >= 0) {
    const void* table = nullptr;
    if (map_table(joined, table) == 0) return table;
  }
  why = launch.start(state);
  return launch.table();
}

// A rule in that file without which this program must not start; empty if there is none.
std::string_view binding_rule(const char* path) {
  std::array<char, 4096> program{};
  if (!program_filters_kill(Purpose::reading)) (void)read_program_path(program);
  policy::BindingRule rules(program.data());
  const long read = read_lines(open_policy_file(path), [&](std::string_view line) {
    rules.look_at(line);
    return true;
  });
  // The supervisor could not read it either, and would ignore it.
  const bool nobody_can = read == -EACCES || read == -ENOENT;
  return read == 0 || nobody_can ? rules.found() : "contents that could not be examined";
}

// Whether one of the complaints is about the file.
bool is_complained_of(std::string_view path, std::string_view complaints) {
  const auto begins = [&](std::size_t at) {
    std::string_view rest = complaints.substr(at);
    if ((at != 0 && complaints[at - 1] != '\n') || !rest.starts_with(path)) return false;
    rest.remove_prefix(path.size());
    return rest.starts_with(':');
  };
  for (std::size_t at = complaints.find(path); at != std::string_view::npos;
       at = complaints.find(path, at + 1)) {
    if (begins(at)) return true;
  }
  return false;
}

[[noreturn]] void end_for_too_many_rules() {
  Message() << kTooManyRules << ": at most " << static_cast<long>(kOptionTextBytes - 1)
            << " bytes of options; the program is not started";
  end_program();
}

constexpr std::string_view kUnread = "the policy files are not read: ";

// Ends the program if a file that does not apply has, or may have, a rule without which the program must not
// start. `unread`: why none of them applies.
void end_if_bound(const State& state, std::string_view complaints, const Reason& unread) {
  for (std::size_t level = 0; level < state.policy_count; ++level) {
    const char* const path = state.policies[level].data();
    const bool applies = unread.none() && !is_complained_of(path, complaints);
    const std::string_view rule = applies ? "" : binding_rule(path);
    if (rule.empty()) continue;
    {
      Message message;
      if (!unread.none()) message << kUnread << unread << "; ";
      message << path << (unread.none() ? " does not apply, but it has " : " has ") << rule
              << ", so the program is not started (policy=none starts it without the files)";
    }
    end_program();
  }
}

void print_complaints(const State& state, std::string_view complaints) {
  while (!complaints.empty()) {
    const std::string_view line = policy::take_until(complaints, '\n');
    if (first_in_tree(state, Notice::complaint, detail_of(line), 0))
      Message() << line << "; it does not apply";
  }
}

// True if all of them could be read.
bool read_levels(State& state, SupervisorLaunch& launch) {
  Reason why;
  const void* const table = table_with_policy(state, launch, why);
  if (table == nullptr) {
    end_if_bound(state, {}, why);
    if (first_in_tree(state, Notice::unread_policies, 0, why.error)) Message() << kUnread << why;
    return false;
  }
  const std::string_view complaints = table_complaints(table);
  (void)copy_text(state.texts->policy, {table_policy(table)});
  const bool good = complaints.empty();
  if (complaints == kTooManyRules) end_for_too_many_rules();
  print_complaints(state, complaints);
  end_if_bound(state, complaints, {});
  if (table != launch.table()) unmap_table(table);
  return good;
}

}  // namespace

void read_options(State& state, SupervisorLaunch& launch) {
  const policy::Options defaults = state.options;
  const char* const given = secure_getenv("MSEAL_OPTIONS");
  const std::string_view text = given != nullptr ? given : "";
  bool good = true;
  if (!copy_text(state.texts->environment, {text})) {
    Message() << "MSEAL_OPTIONS is too long: at most "
              << static_cast<long>(state.texts->environment.size() - 1)
              << " bytes; the program is not started";
    end_program();
  }
  policy::parse_options(
      state.texts->environment.data(), state.options, [&](const policy::OptionError& error) {
        good = false;
        if (!first_in_tree(state, Notice::complaint, detail_of(error.key) ^ detail_of(error.value), 0))
          return;
        Message message;
        message << "MSEAL_OPTIONS: ";
        if (error.is_unknown_key) {
          message << "there is no option " << error.key << "; " << error.allowed;
        } else {
          message << error.key << "=" << error.value << " is not understood; allowed: " << error.allowed;
        }
      });
  find_supervisor(state);
  good = find_levels(state) && good;
  if (state.policy_count != 0) {
    good = read_levels(state, launch) && good;
    state.options = defaults;
    policy::parse_options(state.texts->policy.data(), state.options);
    state.policy_options = state.options;
    state.options.skip = state.options.mutable_data = {};
    policy::parse_options(state.texts->environment.data(), state.options);
  }
  // Also if that item itself is misspelt.
  const bool strict = state.options.strict || text.find("strict=1") != std::string_view::npos;
  if (good || !strict) return;
  Message() << "strict=1: the program is not started";
  end_program();
}

}  // namespace libmseal::shim
