// Policy files: the user's rules for programs and objects, in TOML.
//
//   auto = "elf"                      # any option of MSEAL_OPTIONS, for every program
//   harden = ["ptrace", "proc_mem"]
//
//   [[object]]                        # in every program
//   name = "libpatchy.so*"            # a pattern for its path or its file name
//   seal = false
//   why = "patches its own text"
//
//   [[program]]
//   name = "/usr/bin/node"
//   auto = "data"                     # any option, for this program
//   [[program.object]]
//   name = "libnode.so*"
//   mutable = true                    # its static data is left out of auto=data
//
// A later file overrides an earlier one, and within a file a later table overrides an earlier one. Among
// object rules, the last one that matches applies; rules for a program override rules for all.
//
// The supervisor and the tool read them; libmseal.so gets the result in the form of MSEAL_OPTIONS.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace libmseal::policy {

struct PolicyError {
  std::uint32_t line = 0;  // from 1
  std::uint32_t column = 0;
  std::string what;

  [[nodiscard]] std::string text() const {
    return std::to_string(line) + ":" + std::to_string(column) + ": " + what;
  }
};

struct ObjectRule {
  std::string name;                  // a pattern
  std::optional<bool> seal;          // whether it is sealed at all
  std::optional<bool> mutable_data;  // `mutable`: whether its static data is left out
};

// A table [[program]], or, without a name, everything outside of these tables.
struct ProgramRule {
  std::string name;     // a pattern
  std::string options;  // "key=value,key=value", each understood by parse_option()
  std::vector<ObjectRule> objects;
};

struct PolicyFile {
  std::vector<ProgramRule> programs;  // the first is for all
};

// Reads the text of a file. Mistakes are added to `errors`; the result is then incomplete and must not be
// used. Throws only std::bad_alloc.
PolicyFile read_policy(std::string_view text, std::vector<PolicyError>& errors);

// The options that the levels, weakest first, give the program at `path`, in the form of MSEAL_OPTIONS. If
// `path` is "" (not known), only rules for all programs apply.
std::string options_for(std::span<const PolicyFile> levels, const std::string& path);

}  // namespace libmseal::policy
