#include "policy/rules/verdict.h"

#include <vector>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kPage = 4096;
const std::vector<Seal> kSeals{{{0x10000, 0x12000}, true}, {{0x20000, 0x21000}}};

Verdict verdict_on(const MmCall& call) {
  return decide(call, {kSeals});
}

MmCall modify(Range first, Range second = {}) {
  MmCall call;
  call.effect = MmCall::Effect::modify;
  call.ranges = {first, second};
  return call;
}

TEST_CASE("an overlap anywhere refuses the whole call") {
  CHECK(verdict_on(modify({0x10000, 0x11000})) == Verdict::refuse);
  CHECK(verdict_on(modify({0xF000, 0x10001})) == Verdict::refuse);
  CHECK(verdict_on(modify({0x11FFF, 0x30000})) == Verdict::refuse);
  CHECK(verdict_on(modify({0x1000, 0x2000}, {0x20000, 0x21000})) == Verdict::refuse);
  CHECK(verdict_on(modify({0x12000, 0x20000})) == Verdict::allow);
  CHECK(verdict_on(modify({})) == Verdict::allow);
}

TEST_CASE("discarding is refused where the contents are protected") {
  MmCall call = modify({0x10000, 0x11000});
  call.effect = MmCall::Effect::discard;
  CHECK(verdict_on(call) == Verdict::refuse);
  call.ranges[0] = {0x20000, 0x21000};
  CHECK(verdict_on(call) == Verdict::allow);
  call.ranges[0] = {0x11000, 0x21000};
  CHECK(verdict_on(call) == Verdict::refuse);
}

TEST_CASE("a seal refuses what its types say") {
  const std::vector<Seal> seals{{{0x10000, 0x12000}, false, true, kBaseType},
                                {{0x12000, 0x13000}, true, true, kBaseType | kContentsType},
                                {{0x13000, 0x14000}, false, true, kBaseType | kProtectionType}};
  const auto verdict_of = [&](Call number, std::uint64_t start) {
    MmCall call = modify({start, start + kPage});
    call.call = number;
    if (number == Call::madvise) call.effect = MmCall::Effect::discard;
    return decide(call, {seals});
  };
  for (const std::uint64_t start : {0x10000, 0x12000, 0x13000}) {
    for (const Call base : {Call::munmap, Call::mmap, Call::mremap, Call::remap_file_pages})
      CHECK(verdict_of(base, start) == Verdict::refuse);
  }
  CHECK(verdict_of(Call::mprotect, 0x10000) == Verdict::allow);
  CHECK(verdict_of(Call::mprotect, 0x12000) == Verdict::allow);
  CHECK(verdict_of(Call::mprotect, 0x13000) == Verdict::refuse);
  CHECK(verdict_of(Call::madvise, 0x10000) == Verdict::allow);
  CHECK(verdict_of(Call::madvise, 0x12000) == Verdict::refuse);
  CHECK(verdict_of(Call::madvise, 0x13000) == Verdict::allow);
  // From a stack above; those below the seal of the protection don't count.
  MmCall grows = modify({0x20000, 0x21000});
  grows.call = Call::mprotect;
  grows.grows_down = true;
  CHECK(decide(grows, {seals}) == Verdict::refuse);
  CHECK(decide(grows, {std::span(seals).first(2)}) == Verdict::allow);
}

TEST_CASE("what can't be judged is refused as soon as anything is sealed") {
  MmCall call;
  call.effect = MmCall::Effect::unjudgeable;
  CHECK(verdict_on(call) == Verdict::refuse);
  CHECK(decide(call, {}) == Verdict::allow);
}

TEST_CASE("PROT_GROWSDOWN reaches down to every sealed stack below") {
  std::vector<Seal> seals{{{0x10000, 0x12000}, false, true}, {{0x40000, 0x41000}}};
  MmCall call = modify({0x30000, 0x31000});
  CHECK(decide(call, {seals}) == Verdict::allow);
  call.grows_down = true;
  CHECK(decide(call, {seals}) == Verdict::refuse);
  call.ranges[0] = {0x8000, 0x9000};
  CHECK(decide(call, {seals}) == Verdict::allow);
  seals[0].may_grow_down = false;
  call.ranges[0] = {0x30000, 0x31000};
  CHECK(decide(call, {seals}) == Verdict::allow);
}

TEST_CASE("shmdt of a sealed segment claims success") {
  const std::vector<Seal> seals{{{0x10000, 0x12000}, false, false, kWholeSeal, 0xF000}};
  MmCall call;
  call.effect = MmCall::Effect::detach;
  call.argument = 0xF000;
  CHECK(decide(call, {seals}) == Verdict::answer_zero);
  call.argument = 0x10000;
  CHECK(decide(call, {seals}) == Verdict::allow);
  for (const std::uint64_t other : {0, 1}) {  // no segment begins there
    call.argument = other;
    CHECK(verdict_on(call) == Verdict::allow);
    CHECK(decide(call, {seals}) == Verdict::allow);
  }
  const std::vector<Seal> at_zero{{{0x10000, 0x12000}, false, false, kWholeSeal, 0}};
  call.argument = 0;
  CHECK(decide(call, {at_zero}) == Verdict::answer_zero);
}

TEST_CASE("where a page was sealed as one of two segments, by two processes, shmdt detaches nothing") {
  const Seal one{{0x10000, 0x11000}, false, false, kWholeSeal, 0xF000};
  const Seal other{{0x10000, 0x12000}, false, false, kWholeSeal, 0x10000};
  std::vector<Seal> seals;
  for (const Seal& seal : {one, other, one}) REQUIRE(add_seal(seals, seal, 16));
  MmCall call;
  call.effect = MmCall::Effect::detach;
  for (const std::uint64_t address : {0xF000, 0x10000}) {
    call.argument = address;
    CHECK(decide(call, {seals}) == Verdict::answer_zero);
  }
}

TEST_CASE("what huge pages would touch counts where there may be some") {
  MmCall call = modify({0x8000, 0x9000});
  call.if_huge = {0x9000, 0x11000};
  call.call = Call::mmap;
  CHECK(verdict_on(call) == Verdict::depends_on_file);
  call.call = Call::mremap;
  CHECK(verdict_on(call) == Verdict::depends_on_source);
  CHECK(decide(call, {kSeals, 0x20000}) == Verdict::refuse);
  CHECK(decide(call, {kSeals, 0x2000}) == Verdict::depends_on_source);
  call.if_huge = {0x9000, 0x10000};  // up to the seal
  CHECK(decide(call, {kSeals, 0x20000}) == Verdict::allow);
  call.if_huge = {0x30000, 0x31000};
  CHECK(verdict_on(call) == Verdict::allow);
  call.ranges[0] = {0x10000, 0x11000};
  CHECK(verdict_on(call) == Verdict::refuse);
}

TEST_CASE("the arguments of brk that would unmap a sealed page below the break") {
  const auto refused = [](Range range) {
    const Seal seal{range};
    return refused_breaks({&seal, 1}, 0xF000, 0x40000, kPage);
  };
  CHECK(refused({0x20000, 0x21000}) == Range{0xF000, 0x20001});  // rounded up to the end of the seal
  CHECK(refused({0x3F000, 0x50000}) == Range{0xF000, 0x3F001});
  CHECK(refused({0x40000, 0x50000}).empty());
  CHECK(refused({0x1000, 0x2000}).empty());
  CHECK(refused({0x1000, 0xF000}).empty());
  const Seal several[] = {{{0x10000, 0x11000}}, {{0x30000, 0x32000}}, {{0x60000, 0x61000}}};
  CHECK(refused_breaks(several, 0xF000, 0x40000, kPage) == Range{0xF000, 0x31001});
  CHECK(refused_breaks({}, 0xF000, 0x40000, kPage).empty());
}

}  // namespace
}  // namespace libmseal::policy
