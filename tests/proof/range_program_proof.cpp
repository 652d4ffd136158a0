// Proofs, with Z3, that a compiled range program is right for all arguments at once:
//
//   sound:  a call that must be refused, answered or notified is
//   exact:  no other is
//
// Registers are raw: 64 free bits, whatever the kernel reads of them in that ABI.
#include <memory>
#include <random>

#include "tests/proof/examination.h"

namespace libmseal::tests {
namespace {

// Proves the program for every call of every ABI.
int prove(const Shape& shape, Kind kind) {
  auto program = std::make_unique<BpfProgram>();
  int proofs = 0;
  for (const policy::Machine& machine : {policy::kX86Machine, policy::arm64_machine(kPage)}) {
    compile_into(*program, machine, shape, kind);
    for (const policy::Abi& abi : machine.abis) {
      for (const policy::CallNumber& entry : abi.calls) {
        INFO(shape.ranges.size() << " ranges, arch " << std::hex << abi.audit_arch << std::dec << ", number "
                                 << entry.number << " (" << policy::name_of(entry.call) << ")");
        REQUIRE(examine(program->instructions(), machine, abi, entry, shape, kind) == Finding::none);
        ++proofs;
      }
    }
  }
  return proofs;
}

TEST_CASE(
    "proof: programs without a supervisor refuse what touches a range and what is documented, nothing else") {
  std::mt19937_64 random(64);
  int proofs = 0;
  for (const std::size_t count : {1, 2, 8, 20}) {
    Shape shape = random_shape(random, count);
    shape.attachments = {shape.ranges.front().start, shape.ranges.back().start};
    shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::alone);
  }
  Shape base = random_shape(random, 2);
  base.protection = false;
  proofs += prove(base, Kind::alone);
  CHECK(proofs > 150);
}

TEST_CASE("proof: the filters of seals refuse what touches a range and is not delegated, nothing else") {
  std::mt19937_64 random(65);
  int proofs = 0;
  for (const std::size_t count : {1, 1, 1, 1, 3, 20, 40}) {
    Shape shape = random_shape(random, count);
    if (count == 3) shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::delegating);
  }
  proofs += prove(many_under_one_word(), Kind::delegating);
  for (const std::size_t count : {1, 3}) {  // seals without MSEAL_TYPE_PROT_PKEY
    Shape shape = random_shape(random, count);
    shape.protection = false;
    proofs += prove(shape, Kind::delegating);
  }
  CHECK(proofs > 250);
}

TEST_CASE(
    "proof: the first filter refuses what is denied, notifies what is watched or delegated, and lets the "
    "rest") {
  std::mt19937_64 random(66);
  int proofs = 0;
  for (const std::size_t count : {1, 2, 7, 24}) {
    Shape shape = random_shape(random, count);
    shape.watched = random_shape(random, 3).ranges;
    shape.refused_breaks = {0x5555'8000'0000, 0x5555'8000'5001};
    proofs += prove(shape, Kind::first);
  }
  // What is watched lies under the same word, and elsewhere.
  Shape many = many_under_one_word();
  for (const Range& watched :
       {Range{0x7FFF'F000'2000, 0x7FFF'F000'9000}, Range{0x5555'0000'0000, 0x5555'4000'0000}}) {
    many.watched = {watched};
    proofs += prove(many, Kind::first);
  }
  CHECK(proofs > 150);
}

}  // namespace
}  // namespace libmseal::tests
