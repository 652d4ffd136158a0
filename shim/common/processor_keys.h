// Whether memory can have protection keys here (pkeys(7)).
#pragma once

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace libmseal::shim {

inline bool processor_has_keys() {
#ifdef __x86_64__
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kEnabled = 1U << 4;  // OSPKE: the kernel uses them
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kEnabled) != 0;
#else
  return false;
#endif
}

}  // namespace libmseal::shim
