// The port of the kernel's check of BPF programs, beside the kernel's own: an ordinary socket takes a filter
// by the same rules.
#include "tests/support/bpf_check.h"
#include "shim/common/no_copy.h"

#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "tests/support/catch.h"

namespace libmseal::tests {
namespace {

class Socket : shim::NoCopy {
 public:
  Socket() { REQUIRE(descriptor_ >= 0); }
  ~Socket() { close(descriptor_); }

  [[nodiscard]] bool takes(std::vector<sock_filter>& program) const {
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return setsockopt(descriptor_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
  }

 private:
  int descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST_CASE("the ported check says of every program what the kernel says") {
  static constexpr std::uint16_t kCodes[] = {BPF_LD | BPF_W | BPF_ABS,
                                             BPF_LD | BPF_MEM,
                                             BPF_LDX | BPF_MEM,
                                             BPF_ST,
                                             BPF_STX,
                                             BPF_JMP | BPF_JA,
                                             BPF_JMP | BPF_JEQ | BPF_K,
                                             BPF_JMP | BPF_JGE | BPF_X,
                                             BPF_RET | BPF_K,
                                             BPF_ALU | BPF_ADD | BPF_X};
  const Socket socket;
  std::mt19937 generator(1);
  const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
  int accepted = 0;
  int for_scratch = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::vector<sock_filter> program(2 + random() % 9);
    for (std::size_t pc = 0; pc < program.size(); ++pc) {
      const auto left = static_cast<std::uint32_t>(program.size() - pc);
      sock_filter& one = program[pc];
      one.code = kCodes[random() % std::size(kCodes)];
      one.jt = static_cast<std::uint8_t>(random() % left);
      one.jf = static_cast<std::uint8_t>(random() % left);
      one.k = one.code == (BPF_JMP | BPF_JA)           ? random() % left
              : one.code == (BPF_LD | BPF_W | BPF_ABS) ? 4 * (random() % 16)
                                                       : random() % 2;
      if (random() % 500 == 0) one.k = BPF_MEMWORDS;
    }
    if (random() % 16 != 0) program.back() = sock_filter{BPF_RET | BPF_K, 0, 0, 0};
    const bool expected = kernel_accepts(program);
    if (socket.takes(program) != expected) FAIL("round " << round);
    accepted += expected ? 1 : 0;
    const bool ends = program.back().code == (BPF_RET | BPF_K);
    for_scratch += ends && !expected ? 1 : 0;
  }
  CHECK(accepted > 5'000);
  CHECK(for_scratch > 5'000);
}

TEST_CASE("what follows a return counts as its continuation") {
  const Socket socket;
  // if (A == 0) goto load; M[0] = A; goto load; ...: not stored on one way.
  std::vector<sock_filter> not_stored{{BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 0},
                                      {BPF_ST, 0, 0, 0},
                                      {BPF_JMP | BPF_JA, 0, 0, 0},
                                      {BPF_LD | BPF_MEM, 0, 0, 0},
                                      {BPF_RET | BPF_A, 0, 0, 0}};
  CHECK_FALSE(kernel_accepts(not_stored));
  CHECK_FALSE(socket.takes(not_stored));
  // if (A == 0) return 0; M[0] = A; load: all ways to the load store, but one ends in a return right before
  // it.
  std::vector<sock_filter> after_return{{BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 0}, {BPF_ST, 0, 0, 0},
                                        {BPF_JMP | BPF_JA, 0, 0, 1},          {BPF_RET | BPF_K, 0, 0, 0},
                                        {BPF_LD | BPF_MEM, 0, 0, 0},          {BPF_RET | BPF_A, 0, 0, 0}};
  CHECK_FALSE(kernel_accepts(after_return));
  CHECK_FALSE(socket.takes(after_return));
  // The same with the return at the end.
  std::vector<sock_filter> in_order{{BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 0},
                                    {BPF_ST, 0, 0, 0},
                                    {BPF_LD | BPF_MEM, 0, 0, 0},
                                    {BPF_RET | BPF_A, 0, 0, 0},
                                    {BPF_RET | BPF_K, 0, 0, 0}};
  CHECK(kernel_accepts(in_order));
  CHECK(socket.takes(in_order));
}

}  // namespace
}  // namespace libmseal::tests
