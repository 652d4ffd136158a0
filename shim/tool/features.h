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

// Whether a filter, such as a container's profile, answers mseal(2), so that no supervisor hears of the call.
// False if there can be no listener here.
bool mseal_is_answered();

}  // namespace libmseal::tool
