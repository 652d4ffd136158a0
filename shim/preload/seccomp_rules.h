// Rules about system call numbers and constant arguments, compiled by libseccomp.
#pragma once

#include <seccomp.h>

#include <initializer_list>

#include "policy/bpf_program.h"
#include "shim/preload/private_heap.h"

namespace libmseal::shim {

inline constexpr std::uint64_t kLowWord = 0xFFFFFFFF;  // to mask an argument that the kernel reads as int

// One at a time, for its memory is the private heap. The first error sticks; write() tells.
class SeccompRules {
 public:
  SeccompRules();
  ~SeccompRules();
  SeccompRules(const SeccompRules&) = delete;
  SeccompRules& operator=(const SeccompRules&) = delete;

  // The call fails with `error` if all the arguments are as said.
  void refuse(int number, unsigned error, std::initializer_list<scmp_arg_cmp> arguments = {});
  // The same, but the supervisor is told of it.
  void notify(int number, std::initializer_list<scmp_arg_cmp> arguments = {});

  // Writes the program, which allows everything else, in front of `program`. 0 or -errno.
  long write(policy::BpfProgram& program);

 private:
  PrivateHeap heap_;
  scmp_filter_ctx context_;
  void add(std::uint32_t action, int number, std::initializer_list<scmp_arg_cmp> arguments);

  long result_ = 0;
};

}  // namespace libmseal::shim
