// An attack is a program: it seals a victim, tries one way to change it, and says by its exit status what
// came of it.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "mseal/mseal.h"
#include "policy/parsers/maps_line.h"
#include "shim/common/raw_syscall.h"
#include "tests/support/maps.h"

namespace libmseal::tests {

using shim::raw_syscall;

enum Outcome { kHeld = 0, kBroken = 1, kKilled = 2, kNothingSealed = 3, kCannotTry = 77 };

#ifdef __x86_64__
inline constexpr std::size_t kPage = 4096;
#else
inline const auto kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
#endif
inline constexpr std::size_t kLargestPage = std::size_t{64} * 1024;

[[noreturn]] inline void cannot_try(const char* why) {
  std::printf("%s: %s\n", why, std::strerror(errno));
  std::exit(kCannotTry);
}
// The same after a raw system call.
[[noreturn]] inline void cannot_call(const char* call, long answer) {
  errno = static_cast<int>(-answer);
  cannot_try(call);
}

inline char* map_at(std::uint64_t where, std::size_t size, int flags = MAP_PRIVATE) {
  if (where != 0) flags |= MAP_FIXED_NOREPLACE;
  const long at = raw_syscall(__NR_mmap, where, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  if (shim::failed(at)) {
    errno = static_cast<int>(-at);
    cannot_try("no memory for the victim");
  }
  return reinterpret_cast<char*>(at);
}

// What mseal answers, as the kernel gives its answers.
inline long seal(void* at, std::size_t size) {
  return ::mseal(at, size, 0) == 0 ? 0 : -errno;
}

// mseal has sealed nothing and says so: nothing can be broken, and nothing has held.
inline int nothing_promised(long answer) {
  std::printf("mseal answered %ld (%s)\n", answer, std::strerror(static_cast<int>(-answer)));
  return kNothingSealed;
}

// How a child ended. One that was killed has shown nothing.
inline int outcome_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  std::printf("a child was killed by signal %d\n", WTERMSIG(status));
  return kKilled;
}

// The first that did not hold. Where nothing was sealed in one part, the other may still tell more.
inline int worse_of(int one, int other) {
  return one == kHeld || (one == kNothingSealed && other != kHeld) ? other : one;
}

// Sealed memory, and whether it is still what it was.
class Victim {
 public:
  // A page of our own, read-only: sealed by a filter.
  static Victim page(std::uint64_t where = 0, std::size_t size = kPage) {
    char* const at = map_at(where, size);
    std::memset(at, 'v', size);
    if (::mprotect(at, size, PROT_READ) != 0) cannot_try("mprotect before the seal");
    return Victim(at, size);
  }
  // What is mapped already.
  Victim(char* at, std::size_t size) : at_(at), size_(size) {
    if (::mseal(at_, size_, 0) != 0) cannot_try("mseal");
    remember();
  }
  // Sealed before this image began to look.
  static Victim sealed_already(char* at, std::size_t size) {
    Victim victim;
    victim.at_ = at;
    victim.size_ = size;
    victim.remember();
    return victim;
  }
  // The same where programs with fixed addresses are: decided by the supervisor, as other images may be
  // there.
  static Victim supervised_page() { return page(0x3000'0000); }
  // This program's own code: sealed at start, by a filter where addresses are randomised.
  static Victim text() {
    const auto page = reinterpret_cast<std::uintptr_t>(&cannot_try) & -kPage;
    return Victim(reinterpret_cast<char*>(page), kPage);
  }

  [[nodiscard]] char* at() const { return at_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(at_); }
  [[nodiscard]] std::size_t size() const { return size_; }

  [[nodiscard]] bool intact() const { return mapping() == mapping_ && contents() == contents_; }

 private:
  Victim() = default;
  void remember() {
    mapping_ = mapping();
    contents_ = contents();
  }
  [[nodiscard]] std::string mapping() const { return maps_of(at_, size_); }
  [[nodiscard]] std::string contents() const {
    if (mapping().find(" r") == std::string::npos) return "";
    return {at_, size_};
  }

  char* at_ = nullptr;
  std::size_t size_ = 0;
  std::string mapping_;
  std::string contents_;
};

// The program's last word: what the attempts answered, and whether the victim is unharmed.
inline int conclude(const Victim& victim, const char* attempt, long answer) {
  const bool held = victim.intact();
  std::printf("%s answered %ld (%s); the victim is %s\n", attempt, answer,
              answer < 0 && answer > -4096 ? std::strerror(static_cast<int>(-answer)) : "no error",
              held ? "unharmed" : "CHANGED");
  return held ? kHeld : kBroken;
}

// Ends at once, where a part of the process may be missing or the first thread has ended.
[[noreturn]] inline void leave(int outcome) {
  std::fflush(stdout);
  ::_exit(outcome);
}

}  // namespace libmseal::tests
