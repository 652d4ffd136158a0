#include "policy/verdict.h"

#include <vector>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kPage = 4096;
const std::vector<Seal> kSeals{{{0x10000, 0x12000}, true, 0}, {{0x20000, 0x21000}, false, 0}};

MmCall modify(Range first, Range second = {}) {
  MmCall call;
  call.effect = MmCall::Effect::modify;
  call.ranges = {first, second};
  return call;
}

TEST_CASE("an overlap anywhere refuses the whole call") {
  CHECK(decide(modify({0x10000, 0x11000}), kSeals, {}) == kRefuse);
  CHECK(decide(modify({0xF000, 0x10001}), kSeals, {}) == kRefuse);
  CHECK(decide(modify({0x11FFF, 0x30000}), kSeals, {}) == kRefuse);
  CHECK(decide(modify({0x1000, 0x2000}, {0x20000, 0x21000}), kSeals, {}) == kRefuse);
  CHECK(decide(modify({0x12000, 0x20000}), kSeals, {}) == kAllow);
  CHECK(decide(modify({}), kSeals, {}) == kAllow);
}

TEST_CASE("discarding is refused where the contents are kept") {
  MmCall call = modify({0x10000, 0x11000});
  call.effect = MmCall::Effect::discard;
  CHECK(decide(call, kSeals, {}) == kRefuse);
  call.ranges[0] = {0x20000, 0x21000};
  CHECK(decide(call, kSeals, {}) == kAllow);
  call.ranges[0] = {0x11000, 0x21000};
  CHECK(decide(call, kSeals, {}) == kRefuse);
}

TEST_CASE("an extent that nobody could find out is refused") {
  MmCall call = modify({});
  call.hidden = MmCall::Hidden::in_memory;
  CHECK(decide(call, kSeals, {}) == kRefuse);
}

TEST_CASE("shmdt of a sealed segment claims success") {
  MmCall call = modify({0x10000, 0x11000});
  call.call = Call::shmdt;
  call.hidden = MmCall::Hidden::attached;
  CHECK(decide(call, kSeals, {}) == Verdict{Verdict::Kind::answer, 0});
}

TEST_CASE("brk is answered when it would unmap a sealed page of the heap") {
  const Range heap{0xF000, 0x30000};
  const Range refused = refused_breaks(kSeals, heap, kPage);
  MmCall call;
  call.effect = MmCall::Effect::lower_break;
  const auto verdict = [&](std::uint64_t argument) {
    call.argument = argument;
    return decide(call, kSeals, refused);
  };
  const Verdict answer{Verdict::Kind::answer, 0};
  CHECK(verdict(0) == kAllow);
  CHECK(verdict(0xF000) == answer);
  CHECK(verdict(0x20000) == answer);
  CHECK(verdict(0x20001) == kAllow);  // rounded up to the end of the seal
  CHECK(verdict(0x21000) == kAllow);
  CHECK(verdict(0x40000) == kAllow);
  CHECK(refused_breaks(kSeals, {}, kPage).empty());
  CHECK(refused_breaks(kSeals, {0x30000, 0x40000}, kPage).empty());
}

}  // namespace
}  // namespace libmseal::policy
