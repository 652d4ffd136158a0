// Waits for what another process or thread will do.
#pragma once

#include <unistd.h>

namespace libmseal::tests {

// Looks until it holds. The limit counts looks, not time: a slow machine is given more of it.
template <class Look>
bool eventually(Look holds) {
  for (int look = 0; look < 10'000; ++look) {
    if (holds()) return true;
    ::usleep(2000);
  }
  return false;
}

}  // namespace libmseal::tests
