// Finds the functions that this library interposes.
#pragma once

#include <atomic>

namespace libmseal::shim {

// The function in the first object after this one that defines it, as dlsym(RTLD_NEXT) would find it; null if
// none does. dlsym itself is interposed, and dlvsym is in another library before glibc 2.34 and missing in
// musl.
void* find_next_function(const char* name);

// The variable in the first object that defines it, for example a copy in the program; null if none does.
const void* find_variable(const char* name);

// A function that is looked up only once, at start: in a child that is forked while another thread reads the
// dynamic linker's list of objects, that list may stay locked for ever.
template <class Function>
class NextFunction {
 public:
  explicit constexpr NextFunction(const char* name) : name_(name) {}

  Function* get() {
    Function* function = found_.load(std::memory_order_relaxed);
    if (function != nullptr) return function;
    function = reinterpret_cast<Function*>(find_next_function(name_));
    found_.store(function, std::memory_order_relaxed);
    return function;
  }

 private:
  const char* name_;
  std::atomic<Function*> found_ = nullptr;
};

}  // namespace libmseal::shim
