#include "policy/bpf_program.h"

#include <cstddef>
#include <memory>

#include "tests/support/bpf_evaluator.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::uint32_t run(const BpfProgram& program, int number) {
  seccomp_data data{};
  data.nr = number;
  return tests::evaluate(program.instructions(), data);
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

TEST_CASE("prepending keeps the order of a finished program") {
  BpfProgram tail;
  tail.ret(3);
  tail.load(offsetof(seccomp_data, nr));
  BpfProgram program;
  program.ret(9);
  program.prepend(tail.instructions());
  CHECK(run(program, 0) == 3);
}

}  // namespace
}  // namespace libmseal::policy
