// A vector with a compile-time capacity: the containers of code that must not allocate.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace libmseal::policy {

template <class T, std::size_t Capacity>
class FixedVector {
 public:
  FixedVector() = default;
  // Copies only the items in use: most of the capacity of a large vector is never touched.
  FixedVector(const FixedVector& other) { *this = other; }
  FixedVector& operator=(const FixedVector& other) {
    if (this == &other) return *this;
    for (std::size_t index = 0; index < other.size_; ++index) items_[index] = other.items_[index];
    size_ = other.size_;
    return *this;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == Capacity; }
  [[nodiscard]] static constexpr std::size_t capacity() { return Capacity; }

  T* data() { return items_.data(); }
  [[nodiscard]] const T* data() const { return items_.data(); }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + size_; }
  [[nodiscard]] const T* begin() const { return items_.data(); }
  [[nodiscard]] const T* end() const { return items_.data() + size_; }
  T& operator[](std::size_t index) { return items_[index]; }
  const T& operator[](std::size_t index) const { return items_[index]; }
  T& back() { return items_[size_ - 1]; }

  // False, and nothing added, when the vector is full.
  [[nodiscard]] bool push_back(const T& item) {
    if (full()) return false;
    items_[size_++] = item;
    return true;
  }

  // As in std::vector; the caller has checked that there is room.
  void insert(T* position, const T& item) {
    const T copy = item;
    for (T* to = end(); to != position; --to) *to = *(to - 1);
    *position = copy;
    ++size_;
  }
  void erase(T* position) {
    for (T* to = position; to + 1 != end(); ++to) *to = *(to + 1);
    --size_;
  }

  void clear() { size_ = 0; }
  void truncate(std::size_t size) {
    if (size < size_) size_ = size;
  }

  [[nodiscard]] std::span<const T> view() const { return {items_.data(), size_}; }

 private:
  std::size_t size_ = 0;  // next to the first items, so that a short vector touches a single page
  std::array<T, Capacity> items_{};
};

}  // namespace libmseal::policy
