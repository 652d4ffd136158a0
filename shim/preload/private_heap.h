// Memory for libseccomp, which allocates. The linker sends every malloc of this library here (--wrap), so
// that the program's own allocator is never entered from ours; it is all given back when the filter has been
// built.
#pragma once

namespace libmseal::shim {

class PrivateHeap {
 public:
  // While one exists, allocations succeed until its memory is used up. One at a time.
  PrivateHeap();
  ~PrivateHeap();
  PrivateHeap(const PrivateHeap&) = delete;
  PrivateHeap& operator=(const PrivateHeap&) = delete;
};

}  // namespace libmseal::shim
