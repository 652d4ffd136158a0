// A base of classes that are not copied.
#pragma once

namespace libmseal::shim {

struct NoCopy {
  NoCopy() = default;
  NoCopy(const NoCopy&) = delete;
  NoCopy& operator=(const NoCopy&) = delete;
};

}  // namespace libmseal::shim
