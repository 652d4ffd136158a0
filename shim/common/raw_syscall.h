// System calls that do not use errno or anything else of libc: a preloaded object may run before libc is
// ready and in signal handlers.
#pragma once

#include <asm/unistd.h>

#include <array>
#include <cstdint>

namespace libmseal::shim {

// Returns the kernel's value: -errno on failure.
#if defined(__x86_64__)
inline long raw_syscall6(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
inline long raw_syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "libmseal knows x86_64 and aarch64"
#endif

template <class T>
long register_of(T value) {
  if constexpr (requires { static_cast<long>(value); }) {
    return static_cast<long>(value);
  } else {
    return reinterpret_cast<long>(value);
  }
}

template <class... Arguments>
long raw_syscall(long number, Arguments... arguments) {
  static_assert(sizeof...(arguments) <= 6);
  long all[6] = {register_of(arguments)...};
  return raw_syscall6(number, all[0], all[1], all[2], all[3], all[4], all[5]);
}

inline long raw_syscall(long number, const std::array<std::uint64_t, 6>& a) {
  return raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Calls call() again if a signal has interrupted it: the kernel's own memory calls are not interrupted, but a
// notification may be, until the supervisor has received it. Not for ever: a filter of the program may answer
// EINTR, too.
template <class Call>
long repeat_if_interrupted(Call call) {
  constexpr int kMostCalls = 100'000;
  constexpr long kInterrupted = -4;  // EINTR
  long result = kInterrupted;
  for (int calls = 0; calls < kMostCalls && result == kInterrupted; ++calls) result = call();
  return result;
}

template <class... Arguments>
long uninterrupted_syscall(long number, Arguments... arguments) {
  return repeat_if_interrupted([&] { return raw_syscall(number, arguments...); });
}

// An address that no process can map: not canonical on x86-64, in the kernel's half on arm64. Page zero could
// be mapped.
inline constexpr unsigned long kNowhere = 1UL << 55;

// As in libc: -4095 to -1 are errors.
inline bool failed(long result) {
  return static_cast<unsigned long>(result) > -4096UL;
}

}  // namespace libmseal::shim
