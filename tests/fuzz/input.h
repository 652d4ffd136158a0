// Takes values off the bytes that the fuzzer gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

namespace libmseal::tests {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  // Zero once the bytes are used up.
  template <class T>
  T take() {
    T value{};
    const std::size_t size = bytes_.size() < sizeof value ? bytes_.size() : sizeof value;
    if (size != 0) std::memcpy(&value, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// What must hold for every input; the fuzzer keeps the input that breaks it.
inline void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace libmseal::tests
