#include "policy/protocol/control.h"

#include <algorithm>
#include <span>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

TEST_CASE("a message survives the registers") {
  for (const auto kind : {Control::Kind::add_supervised, Control::Kind::add_filtered}) {
    for (int attributes = 0; attributes < 8; ++attributes) {
      Control message{kind, {{0x7f0000001000, 0x7f0000004000}, (attributes & 1) != 0, (attributes & 2) != 0}};
      if ((attributes & 4) != 0) message.seal.attachment = 0x7f0000000000;
      bool malformed = true;
      const auto decoded = decode_control(kX86Machine, encode(message), malformed);
      REQUIRE(decoded);
      CHECK_FALSE(malformed);
      CHECK(decoded->kind == kind);
      CHECK(decoded->seal == message.seal);
    }
  }
  for (const auto kind : {Control::Kind::add_filtered, Control::Kind::prepare, Control::Kind::seal}) {
    for (std::uint8_t bits = 0; bits <= kEveryType.bits(); ++bits) {
      const SealTypes types = SealTypes::of_bits(bits) | kBaseType;
      Control message{kind, {{0x7f0000001000, 0x7f0000004000}}};
      message.seal.types = types;
      bool malformed = true;
      const auto said = unwrap_from_mmap(wrap_in_mmap(encode(message)));
      CHECK(decode_control(kX86Machine, said.value(), malformed)->seal.types == types);
    }
  }
  for (const auto coverage : {Coverage::none, Coverage::partly, Coverage::fully}) {
    const Sealed sealed{coverage, coverage == Coverage::fully ? kEveryType : kNoType};
    CHECK(decode_sealed(encode(sealed)).coverage == coverage);
    CHECK(decode_sealed(encode(sealed)).types == sealed.types);
  }
  for (const auto kind : {Control::Kind::prepare, Control::Kind::query}) {
    bool malformed = true;
    const auto decoded =
        decode_control(kX86Machine, encode({kind, {{0x7f0000001000, 0x7f0000004000}}}), malformed);
    REQUIRE(decoded);
    CHECK(decoded->seal.range == Range{0x7f0000001000, 0x7f0000004000});
  }
  for (const auto kind : {Control::Kind::join, Control::Kind::filters_are_in, Control::Kind::cancel,
                          Control::Kind::is_alone, Control::Kind::seal}) {
    bool malformed = true;
    CHECK(decode_control(kX86Machine, encode({kind, {}}), malformed)->kind == kind);
  }
}

TEST_CASE("a message survives the registers of mmap, where it maps nothing") {
  Control seal{Control::Kind::seal, {{0x7f0000001000, 0x7f0000004000}}};
  seal.present_break = 0x555555560000;
  seal.discard_as_kernel = true;
  Control site{Control::Kind::call_site, {Range::of(0xFFFF'8123'4567'89AB, 0x1357'9BDF'2468'ACE0)}};
  site.refused = true;
  site.site = 0xFEDC'BA98'7654'3210;
  site.number = 329;
  site.third_argument = 0xFFFF'FFFF;
  Control add{Control::Kind::add_filtered, {{0x7f0000001000, 0x7f0000004000}, true, true}};
  add.seal.attachment = 0x7f0000000000;
  Control refusals{Control::Kind::refusals, {}};
  refusals.count = 0xFFFF'FFFF;
  for (const Control& message :
       {seal, site, add, refusals, Control{}, Control{Control::Kind::query, {{0x1000, 0x2000}}}}) {
    const Arguments said = encode(message);
    const Arguments wrapped = wrap_in_mmap(said);
    CHECK(unwrap_from_mmap(wrapped) == said);
    // No length, and huge pages of a size that is none; and no W together with X, which a filter may refuse.
    CHECK(wrapped[1] == 0);
    CHECK((wrapped[3] & (kMapHugetlb | kMapAnonymous | kMapFixed)) == (kMapHugetlb | kMapAnonymous));
    if (message.kind != Control::Kind::call_site) CHECK((wrapped[2] & 0xFFFF'FFFF) == 0);
    bool malformed = true;
    CHECK(decode_control(kX86Machine, *unwrap_from_mmap(wrapped), malformed));
    for (const std::size_t index : {1, 3}) {
      Arguments other = wrapped;
      other[index] ^= 1ULL << 40;
      CHECK_FALSE(unwrap_from_mmap(other));
      other[index] = wrapped[index] ^ 1;
      CHECK_FALSE(unwrap_from_mmap(other));
    }
  }
  CHECK_FALSE(unwrap_from_mmap({0, 0, 3, kMapAnonymous | kMapHugetlb, ~0ULL, 0}));
}

TEST_CASE("what shall be sealed is told with what the supervisor can't know") {
  for (int flags = 0; flags < 4; ++flags) {
    bool malformed = true;
    Control range{Control::Kind::range, {{0x7f0000001000, 0x7f0000004000}}};
    range.object_part = (flags & 1) != 0;
    range.writable_too = (flags & 2) != 0;
    const auto one = decode_control(kX86Machine, encode(range), malformed);
    REQUIRE(one);
    CHECK(one->seal.range == range.seal.range);
    CHECK(one->object_part == range.object_part);
    CHECK(one->writable_too == range.writable_too);
    Control last{(flags & 2) != 0 ? Control::Kind::seal : Control::Kind::filters_are_in, {}};
    last.present_break = 0x555555560000;
    last.discard_as_kernel = (flags & 1) != 0;
    const auto other = decode_control(kX86Machine, encode(last), malformed);
    REQUIRE(other);
    CHECK(other->present_break == last.present_break);
    CHECK(other->discard_as_kernel == last.discard_as_kernel);
  }
}

TEST_CASE("one message names several ranges, as far as they fit into registers") {
  const Range ranges[] = {{0x7f0000001000, 0x7f0000004000},
                          {0x7f0000008000, 0x7f0000009000},
                          {0x1000, 0x0100'0000'0000},
                          {0xFFFF'FFFF'F000, 0x1'0000'0000'0000},
                          {0xFFFF'FFFF'E000, 0xFFFF'FFFF'F000}};
  const auto survives = [](const Control& message) {
    bool malformed = true;
    const auto decoded = decode_control(kX86Machine, encode(message), malformed);
    return decoded && decoded->kind == message.kind && decoded->seal == message.seal &&
           decoded->object_part == message.object_part &&
           decoded->last_is_supervised == message.last_is_supervised &&
           decoded->is_alone == message.is_alone && std::ranges::equal(decoded->more, message.more);
  };
  Control message{Control::Kind::range, {}};
  message.object_part = true;
  CHECK(put_ranges(message, std::span(ranges).first(1)) == 1);
  CHECK(message.more.empty());
  CHECK(put_ranges(message, ranges) == 3);  // the fourth ends at an address that is too high
  CHECK(message.seal.range == ranges[0]);
  CHECK(survives(message));
  CHECK(put_ranges(message, std::span(ranges).subspan(3)) == 1);
  CHECK(survives(message));
  CHECK(put_ranges(message, std::span(ranges).last(1)) == 1);
  CHECK(message.more.empty());
  const Range many[] = {ranges[0], ranges[1], ranges[2], ranges[4], ranges[0]};
  CHECK(put_ranges(message, many) == 4);
  CHECK(survives(message));

  Control seals{Control::Kind::add_filtered, {{}, true, true}};
  seals.seal.types = kBaseType;
  CHECK(put_ranges(seals, many) == 4);
  CHECK(survives(seals));
  seals.last_is_supervised = true;
  CHECK(survives(seals));
  seals.is_alone = true;
  CHECK(survives(seals));
  seals.last_is_supervised = false;
  seals.seal.attachment = 0x7f0000000000;  // which has no register then
  CHECK(put_ranges(seals, many) == 1);
  CHECK(survives(seals));

  constexpr Range kLong{0x1000, 0x1000 + (1ULL << 40)};
  const Range too_long[] = {ranges[0], kLong};
  CHECK(put_ranges(message, too_long) == 1);
  CHECK(put_ranges(message, std::span(too_long).last(1)) == 1);
  CHECK(survives(message));
}

TEST_CASE("a message of several ranges has two at least, none behind a gap, and none that is no range") {
  constexpr std::uint64_t kSeveral = 1U << 15;
  constexpr std::uint64_t kLastIsSupervised = 1U << 11;
  constexpr std::uint64_t kPage = 0x7f0000001ULL << 28 | 1;
  const auto is_malformed = [](const Machine& machine, const Arguments& arguments) {
    bool malformed = false;
    return !decode_control(machine, arguments, malformed) && malformed;
  };
  CHECK_FALSE(is_malformed(kX86Machine, {kPage, kPage, 2 | kSeveral, kControlMagic, 0, 0}));
  CHECK_FALSE(is_malformed(kX86Machine, {kPage, kPage, 2 | kSeveral, kControlMagic, kPage, kPage}));
  CHECK_FALSE(
      is_malformed(kX86Machine, {kPage, kPage, 10 | kSeveral | kLastIsSupervised, kControlMagic, 0, 0}));
  const Arguments bad[] = {
      {kPage, kPage, 9 | kSeveral | kLastIsSupervised, kControlMagic, 0, 0},  // only for add_filtered
      {kPage, kPage, 2 | kSeveral | kLastIsSupervised, kControlMagic, 0, 0},
      {0x1000, 0x1000, 10 | kLastIsSupervised, kControlMagic, 0, 0},  // and only with several
      {kPage, 0, 2 | kSeveral, kControlMagic, 0, 0},
      {0, kPage, 2 | kSeveral, kControlMagic, kPage, 0},
      {kPage, 0, 2 | kSeveral, kControlMagic, kPage, 0},
      {kPage, kPage, 2 | kSeveral, kControlMagic, 0, kPage},
      {kPage, kPage - 1, 2 | kSeveral, kControlMagic, 0, 0},  // without a page
      {kPage, kPage, 3 | kSeveral, kControlMagic, 0, 0},      // of a kind that names one
      {kPage, kPage, 11 | kSeveral, kControlMagic, 0, 0},
      {kPage, kPage, 2 | kSeveral | 1U << 8, kControlMagic, 0, 0},  // with an attribute that it has not
  };
  for (const Arguments& arguments : bad) CHECK(is_malformed(kX86Machine, arguments));
  const auto refusals = [&](std::uint64_t start, std::uint64_t size, std::uint64_t count) {
    return is_malformed(kX86Machine, {start, size, 13, kControlMagic, count, 0});
  };
  CHECK_FALSE(refusals(0, 0, 1));
  CHECK(refusals(0, 0, 0));
  CHECK(refusals(0, 0, 1ULL << 32));
  CHECK(refusals(kPage, kPage, 1));
  Machine large_pages = kX86Machine;
  large_pages.page_size = 0x10000;
  CHECK(is_malformed(large_pages, {kPage, kPage, 2 | kSeveral, kControlMagic, 0, 0}));
}

TEST_CASE("how sealing goes on survives the return value") {
  for (const NextStep step :
       {NextStep::sealed, NextStep::filter, NextStep::supervised, NextStep::by_itself}) {
    for (const std::uint32_t ticket : {0U, 1U, 0x80000000U, ~0U}) {
      const std::int64_t answer = encode(SealAnswer{step, ticket});
      CHECK(answer >= 0);
      CHECK(decode_seal_answer(answer).step == step);
      CHECK(decode_seal_answer(answer).ticket == ticket);
    }
  }
}

TEST_CASE("a call site is told with whatever range the call has") {
  Control message{Control::Kind::call_site, {{0x7f0000001001, 0x7f0000001003}}};
  message.refused = true;
  message.site = 0x401234;
  message.number = 11;
  bool malformed = true;
  const auto decoded = decode_control(kX86Machine, encode(message), malformed);
  REQUIRE(decoded);
  CHECK(decoded->site == 0x401234);
  CHECK(decoded->number == 11);
  CHECK(decoded->refused);
  CHECK(decoded->seal.range == message.seal.range);
}

TEST_CASE("the flags are never zero, so that a kernel with mseal(2) refuses the call") {
  CHECK(encode(Control{})[2] != 0);
}

TEST_CASE("what is no message is a raw mseal, what is a bad one is malformed") {
  bool malformed = true;
  CHECK_FALSE(decode_control(kX86Machine, {0x1000, 0x1000, 0, 0, 0, 0}, malformed));
  CHECK_FALSE(malformed);
  const Arguments bad[] = {
      {0x1000, 0x1000, 13, kControlMagic, 0, 0},
      {0x1000, 0x1000, 0, kControlMagic, 0, 0},
      {0x1001, 0x1000, 2, kControlMagic, 0, 0},
      {0x1000, 0x1001, 2, kControlMagic, 0, 0},
      {0x1001, 0x1000, 3, kControlMagic, 0, 0},
      {0x1000, 0, 7, kControlMagic, 0, 0},
      {0, 0, 2, kControlMagic, 0, 0},
      {0x1000, ~0xFFFULL, 9, kControlMagic, 0, 0},
      {0x1000, 0x1000, 7 | 1U << 8, kControlMagic, 0, 0},  // attributes of a seal that adds none
      {0x1000, 0x1000, 9 | 1U << 9, kControlMagic, 0, 0},
      {0x1000, 0x1000, 9 | 1U << 13, kControlMagic, 0, 0},
      {0x1000, 0x1000, 11 | 1U << 12, kControlMagic, 0, 0},
      {0x1000, 0x1000, 2 | 1U << 14, kControlMagic, 0, 0},
      {0x1000, 0x1000, 1, kControlMagic, 0, 0},
      {0x1000, 0x1000, 4, kControlMagic, 0, 0},
      {0x1000, 0x1000, 9, kControlMagic, 0, 1},
      {0x1000, 0x1000, 2, kControlMagic, 1, 0},
      {0x1000, 0x1000, 1ULL << 32 | 2, kControlMagic, 0, 0},
      {~0xFFFULL, 0x1000, 2, kControlMagic, 0, 0},
  };
  for (const Arguments& arguments : bad) {
    malformed = false;
    CHECK_FALSE(decode_control(kX86Machine, arguments, malformed));
    CHECK(malformed);
  }
}

}  // namespace
}  // namespace libmseal::policy
