// A filter that answers one system call itself.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "policy/bpf/call_fields.h"

namespace libmseal::policy {

// 32 bits of seccomp_data, and what they must be.
struct FieldValue {
  std::uint32_t field;
  std::uint32_t value;
};

// Returns `action` for a call with all of these values, and allows every other call.
template <std::size_t kCount>
std::array<sock_filter, 2 * kCount + 2> answer_filter(const FieldValue (&values)[kCount],
                                                      std::uint32_t action) {
  std::array<sock_filter, 2 * kCount + 2> program{};
  for (std::size_t index = 0; index < kCount; ++index) {
    const auto to_allow = static_cast<std::uint8_t>(2 * (kCount - index) - 1);
    program[2 * index] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, values[index].field);
    program[2 * index + 1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, values[index].value, 0, to_allow);
  }
  program[2 * kCount] = BPF_STMT(BPF_RET | BPF_K, action);
  program[2 * kCount + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  return program;
}

}  // namespace libmseal::policy
