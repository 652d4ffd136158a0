// Catch2 2 and 3 under one include.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
namespace libmseal::tests {
using Catch::Matchers::ContainsSubstring;
}  // namespace libmseal::tests
#else
#include <catch2/catch.hpp>
namespace libmseal::tests {
inline auto ContainsSubstring(const std::string& text) {
  return Catch::Matchers::Contains(text);
}
}  // namespace libmseal::tests
#endif
