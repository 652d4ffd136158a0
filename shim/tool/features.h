// What this kernel offers to libmseal, and what whoever else filters system calls leaves of it.
#pragma once

#include <string>
#include <vector>

namespace libmseal::tool {

struct Feature {
  const char* name;
  bool present;
  std::string without;  // why, and what is lost
};

std::vector<Feature> features();

}  // namespace libmseal::tool
