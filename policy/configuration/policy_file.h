// Policy files: what the user has settled about programs and objects, in TOML.
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
// Several files are levels: what a later one says about an option replaces what an earlier one says, and in
// one file what a later table says. Of object rules, the one that was read last and fits decides; those of
// programs go before those for all.
//
// The supervisor and the tool read them; libmseal.so gets the outcome as the text of MSEAL_OPTIONS.
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
};

struct ObjectRule {
  std::string name;                  // a pattern
  std::optional<bool> seal;          // whether it is sealed at all
  std::optional<bool> mutable_data;  // `mutable`: whether its static data is left out
  std::string why;
};

// A table [[program]], or, without a name, what stands outside of all of them.
struct ProgramRule {
  std::string name;     // a pattern
  std::string options;  // "key=value,key=value", each understood by parse_option()
  std::vector<ObjectRule> objects;
  std::string why;
};

struct PolicyFile {
  std::vector<ProgramRule> programs;  // the first is for all
};

// Reads the text of a file. Everything that is wrong is added to `errors`; then what is returned holds the
// rest, and nobody should use it. Never throws but for want of memory.
PolicyFile read_policy(std::string_view text, std::vector<PolicyError>& errors);

// What the levels, weakest first, say about the program at `path` ("" if that is not known: then what is for
// all), as the text of MSEAL_OPTIONS.
std::string options_for(std::span<const PolicyFile> levels, const std::string& path);

}  // namespace libmseal::policy
