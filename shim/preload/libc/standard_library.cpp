// Functions that the headers of libstdc++ call on errors: this library is linked without libstdc++. They are
// never reached (the optimizer drops most of them). Nothing could catch an exception, so the program ends.
#include <string_view>

// NOLINTBEGIN(cert-dcl58-cpp,bugprone-reserved-identifier)
namespace std {

void __throw_out_of_range_fmt(const char*, ...) {
  __builtin_trap();
}

void __throw_length_error(const char*) {
  __builtin_trap();
}

// For _GLIBCXX_ASSERTIONS, which some distributions define.
#ifdef _GLIBCXX_ASSERTIONS
void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept {
  __builtin_trap();
}
#endif

void terminate() noexcept {
  __builtin_trap();
}

}  // namespace std

// Boost's headers are compiled with exceptions (table_reader.cpp).
extern "C" {

void* __cxa_begin_catch(void*) noexcept {
  __builtin_trap();
}

int __gxx_personality_v0(...) {
  __builtin_trap();
}
}
// NOLINTEND(cert-dcl58-cpp,bugprone-reserved-identifier)
