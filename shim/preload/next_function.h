// The functions that this library stands in front of.
#pragma once

#include <atomic>

namespace libmseal::shim {

// The address of the function in the first object behind this one that defines it, as dlsym(RTLD_NEXT) would
// find it; null if none does. dlsym itself is interposed, and dlvsym lies in another library before
// glibc 2.34 and nowhere in musl.
void* find_next_function(const char* name);

// The address of the variable in the first object that defines it, a copy in the program itself for one; null
// if none does.
const void* find_variable(const char* name);

// The same of a function, looked up once: at start, for the dynamic linker's list of objects may be locked
// for ever in a child that is forked while another thread goes through it.
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
