// An mseal that promises everything and does nothing: what the attacks do to memory that is not sealed.
#include <cstddef>

extern "C" __attribute__((visibility("default"))) int mseal(void*, std::size_t, unsigned long) {
  return 0;
}

extern "C" __attribute__((visibility("default"))) int mseal_ranges(const void*, std::size_t, unsigned long) {
  return 0;
}

extern "C" __attribute__((visibility("default"))) int mseal_types(void*, std::size_t, unsigned long) {
  return 0;
}

extern "C" __attribute__((visibility("default"))) int mseal_query(const void*, std::size_t) {
  return 2;
}
