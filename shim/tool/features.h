// The kernel features that libmseal can use here.
#pragma once

#include <string>
#include <vector>

namespace libmseal::tool {

struct Feature {
  const char* name;
  bool present;
  std::string without;  // why it is missing, and the consequence
};

std::vector<Feature> features();

}  // namespace libmseal::tool
