#include "policy/bpf/bpf_program.h"

#include "policy/bpf/evaluator.h"

#include <cstddef>
#include <memory>
#include <vector>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::uint32_t run(const BpfProgram& program, int number, std::uint32_t arch = 0) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  return evaluate(program.instructions(), data);
}

TEST_CASE("branches reach targets at every distance") {
  for (std::uint32_t distance : {0U, 1U, 253U, 254U, 255U, 256U, 257U, 1000U}) {
    for (std::uint32_t between : {0U, 1U, 253U, 254U, 255U, 256U, 257U, 1000U}) {
      auto program = std::make_unique<BpfProgram>();
      const auto far = program->ret(1);
      for (std::uint32_t i = 0; i < distance; ++i) program->ret(99);
      const auto near = program->ret(2);
      for (std::uint32_t i = 0; i < between; ++i) program->ret(98);
      program->branch(BPF_JEQ, 7, far, near);
      program->load(offsetof(seccomp_data, nr));
      REQUIRE(program->complete());
      REQUIRE(run(*program, 7) == 1);
      REQUIRE(run(*program, 8) == 2);
    }
  }
}

TEST_CASE("a jump to what comes next is no instruction") {
  BpfProgram program;
  const auto end = program.ret(5);
  CHECK(program.jump(end) == end);
  CHECK(program.instructions().size() == 1);
}

TEST_CASE("overflow is remembered") {
  BpfProgram program;
  for (int i = 0; i < BPF_MAXINSNS; ++i) program.ret(0);
  CHECK(program.complete());
  program.ret(0);
  CHECK_FALSE(program.complete());
  program.clear();
  CHECK(program.complete());
}

TEST_CASE("prepending keeps the order of a finished program, and what nobody chooses otherwise") {
  BpfProgram tail;
  tail.ret(3);
  tail.load(offsetof(seccomp_data, nr));
  BpfProgram program;
  program.ret(9);
  program.prepend(tail.instructions(), [](std::uint32_t action) { return action; });
  CHECK(run(program, 0) == 3);
}

TEST_CASE("of a prepended program only what matters under the chosen actions is left") {
  BpfProgram finished;  // number 1 answers 10, else architecture 2 answers 20, anything else 30
  const auto one = finished.ret(10);
  const auto two = finished.ret(20);
  const auto other = finished.ret(30);
  finished.branch(BPF_JEQ, 2, two, other);
  finished.mask(0xFF);
  const auto second = finished.load(offsetof(seccomp_data, arch));
  finished.branch(BPF_JEQ, 1, one, second);
  finished.load(offsetof(seccomp_data, nr));
  const auto prepended = [&](std::uint32_t ten, std::uint32_t twenty) {
    auto program = std::make_unique<BpfProgram>();
    program->prepend(finished.instructions(), [&](std::uint32_t action) {
      return action == 10 ? ten : action == 20 ? twenty : action;
    });
    REQUIRE(program->complete());
    return program;
  };
  const auto both = prepended(11, 21);
  CHECK(run(*both, 1, 0) == 11);
  CHECK(run(*both, 0, 2) == 21);
  CHECK(run(*both, 0, 1) == 30);
  const auto alike = prepended(11, 11);
  CHECK(run(*alike, 1, 0) == 11);
  CHECK(run(*alike, 0, 2) == 11);
  CHECK(alike->instructions().size() == both->instructions().size() - 1);  // the returns are one
  const auto first_alone = prepended(11, 30);
  CHECK(run(*first_alone, 1, 2) == 11);
  CHECK(run(*first_alone, 0, 2) == 30);
  CHECK(first_alone->instructions().size() == 4);
  const auto none = prepended(30, 30);
  CHECK(run(*none, 1, 2) == 30);
  CHECK(none->instructions().size() == 1);
}

TEST_CASE("a program that is too long to prepend is remembered") {
  std::vector<sock_filter> finished(257, sock_filter{BPF_RET | BPF_K, 0, 0, 1});
  BpfProgram program;
  program.prepend(finished, [](std::uint32_t action) { return action; });
  CHECK_FALSE(program.complete());
}

TEST_CASE("arithmetic is that of 32 bits, and a division by zero ends the program") {
  const auto result_of = [](std::uint16_t operation, std::uint32_t a, std::uint32_t operand,
                            bool by_register) {
    const sock_filter program[] = {
        BPF_STMT(BPF_LDX | BPF_IMM, operand), BPF_STMT(BPF_LD | BPF_IMM, a),
        BPF_STMT(static_cast<std::uint16_t>(BPF_ALU | operation | (by_register ? BPF_X : BPF_K)), operand),
        BPF_STMT(BPF_RET | BPF_A, 0)};
    CHECK(is_program(program) == !(operation == BPF_DIV && operand == 0 && !by_register));
    return evaluate(program, seccomp_data{});
  };
  for (const bool by_register : {false, true}) {
    const auto is = [&](std::uint16_t operation, std::uint32_t a, std::uint32_t operand,
                        std::uint32_t right) {
      CHECK(result_of(operation, a, operand, by_register) == right);
    };
    is(BPF_ADD, ~0U, 2, 1);
    is(BPF_SUB, 1, 2, ~0U);
    is(BPF_MUL, 0x10001, 0x10001, 0x20001);
    is(BPF_DIV, 7, 2, 3);
    is(BPF_DIV, 7, 0, 0);
    is(BPF_AND, 6, 3, 2);
    is(BPF_OR, 6, 3, 7);
    is(BPF_XOR, 6, 3, 5);
    is(BPF_LSH, 3, 31, 1U << 31);
    is(BPF_RSH, 1U << 31, 31, 1);
  }
  const sock_filter negates[] = {BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_ALU | BPF_NEG, 0),
                                 BPF_STMT(BPF_RET | BPF_A, 0)};
  CHECK(evaluate(negates, seccomp_data{}) == ~0U);
  const sock_filter length[] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0)};
  CHECK(evaluate(length, seccomp_data{}) == sizeof(seccomp_data));
}

TEST_CASE("what is no program of seccomp kills, wherever it is wrong") {
  const sock_filter kWrong[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(seccomp_data)),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xFFFF'FFFC),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_STMT(BPF_ST, 0xFFFF'FFFF),  // outside the scratch memory, and the end is missing
      BPF_JUMP(BPF_JMP | BPF_JA, 0xFFFF'FFFF, 0, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255),
      {0xFFFF, 0, 0, 0},
  };
  const seccomp_data data{};
  for (const sock_filter& one : kWrong) {
    INFO(one.code << " " << one.k);
    CHECK(evaluate({&one, 1}, data) == SECCOMP_RET_KILL_PROCESS);
    CHECK(!is_program({&one, 1}));
  }
  CHECK(evaluate({}, data) == SECCOMP_RET_KILL_PROCESS);
  const sock_filter right[] = {BPF_STMT(BPF_ST, 0xFFFF'FFFF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  CHECK(evaluate(right, data) == SECCOMP_RET_ALLOW);
}

}  // namespace
}  // namespace libmseal::policy
