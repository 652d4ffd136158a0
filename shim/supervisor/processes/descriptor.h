// A file descriptor that is closed with its owner.
#pragma once

#include <unistd.h>

#include "shim/common/no_copy.h"

namespace libmseal::supervisor {

class Descriptor : shim::NoCopy {
 public:
  explicit Descriptor(long number) : number_(static_cast<int>(number)) {}
  ~Descriptor() { close(number_); }

 protected:
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

}  // namespace libmseal::supervisor
