// What is sealed in a running process, according to its seal table and the kernel.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::tool {

struct MapsLine {
  std::string text;  // as in /proc/PID/maps
  policy::Range range;
  std::uint64_t offset = 0;
  std::string name;

  [[nodiscard]] std::string protection() const {
    return text.substr(text.find(' ') + 1, std::string_view("rwxp").size());
  }
};

struct SealedProcess {
  std::vector<MapsLine> lines;
  std::vector<policy::Seal> seals;  // sorted and disjoint
  std::uint64_t bytes = 0;
  bool supervised = false;
};

// The seal table of a process can't be read.
struct OtherVersion : std::runtime_error {
  explicit OtherVersion(int process);
};
struct BadTable : std::runtime_error {
  explicit BadTable(int process);
};

// Each throws std::runtime_error if the process may not be inspected.
std::vector<MapsLine> read_maps_of(int process);
SealedProcess look_at_process(int process, std::vector<MapsLine> lines);

}  // namespace libmseal::tool
