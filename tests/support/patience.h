// How much longer than usual things may take.
#pragma once

#include <cstdlib>

namespace libmseal::tests {

// MSEAL_TESTS_PATIENCE, which multiplies all time limits: for machines that are emulated or busy.
inline int patience() {
  const char* const value = std::getenv("MSEAL_TESTS_PATIENCE");
  const int factor = value != nullptr ? std::atoi(value) : 1;
  return factor > 0 ? factor : 1;
}

}  // namespace libmseal::tests
