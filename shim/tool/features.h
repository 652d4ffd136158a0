// What this kernel offers to libmseal, as far as other filters allow it.
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
