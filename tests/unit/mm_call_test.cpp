#include "policy/rules/mm_call.h"

#include <asm/unistd.h>

#include <sys/mman.h>

#include "shim/common/machine.h"
#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

constexpr std::uint64_t kAt = 0x7f0000000000;

MmCall native(std::uint32_t number, const Arguments& arguments) {
  return decode(kX86Machine, kX86Abis[0], number, arguments);
}
MmCall compat(std::uint32_t number, const Arguments& arguments) {
  return decode(kX86Machine, kX86Abis[1], number, arguments);
}

TEST_CASE("numbers are those of the kernel's headers") {
  const Machine machine = shim::this_machine();
  const auto call_of = [&](std::uint32_t number) {
    return decode(machine, machine.abis[0], number, {}).call;
  };
  CHECK(call_of(__NR_mmap) == Call::mmap);
  CHECK(call_of(__NR_mprotect) == Call::mprotect);
  CHECK(call_of(__NR_pkey_mprotect) == Call::mprotect);
  CHECK(call_of(__NR_munmap) == Call::munmap);
  CHECK(call_of(__NR_brk) == Call::brk);
  CHECK(call_of(__NR_mremap) == Call::mremap);
  CHECK(call_of(__NR_madvise) == Call::madvise);
  CHECK(call_of(__NR_shmat) == Call::shmat);
  CHECK(call_of(__NR_shmdt) == Call::shmdt);
  CHECK(call_of(__NR_remap_file_pages) == Call::remap_file_pages);
  CHECK(call_of(__NR_io_destroy) == Call::io_destroy);
  CHECK(call_of(__NR_io_setup) == Call::io_setup);
  CHECK(call_of(__NR_shmget) == Call::shmget);
  CHECK(machine.abis[0].set_tid_address == __NR_set_tid_address);
}

TEST_CASE("tables are sorted, as the search needs them") {
  for (const auto& machine : {kX86Machine, arm64_machine(4096)}) {
    for (const Abi& abi : machine.abis) {
      for (std::size_t i = 1; i < abi.calls.size(); ++i) CHECK(abi.calls[i - 1].number < abi.calls[i].number);
    }
  }
}

TEST_CASE("mmap replaces only where it must") {
  CHECK(native(9, {kAt, 0x1000, 0, MAP_PRIVATE | MAP_ANONYMOUS}).effect == MmCall::Effect::none);
  CHECK(native(9, {kAt, 0x1000, 0, MAP_FIXED | MAP_FIXED_NOREPLACE}).effect == MmCall::Effect::none);
  const MmCall fixed = native(9, {kAt + 0x1000, 0x1000, 0, MAP_FIXED | MAP_ANONYMOUS | (1ULL << 40), ~0ULL});
  CHECK(fixed.effect == MmCall::Effect::modify);
  CHECK(fixed.ranges[0] == Range{kAt + 0x1000, kAt + 0x2000});
  CHECK_FALSE(fixed.delegated);
}

TEST_CASE("huge pages are mapped as whole ones") {
  constexpr std::uint64_t kHuge = 2 << 20;
  constexpr std::uint64_t kOdd = kAt + kHuge;  // at no multiple of a larger page
  const MmCall anonymous = native(9, {kOdd, 0x1000, 0, MAP_FIXED | MAP_ANONYMOUS | MAP_HUGETLB});
  CHECK(anonymous.ranges[0] == Range{kOdd, kOdd + kHuge});
  CHECK(anonymous.makes_huge_pages);
  CHECK(native(9, {0, 0x1000, 0, MAP_ANONYMOUS | MAP_HUGETLB}).effect == MmCall::Effect::none);
  const MmCall file = native(9, {kOdd, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3});
  CHECK(file.ranges[0] == Range{kOdd, kOdd + 0x1000});
  CHECK(file.if_huge == Range{kOdd + 0x1000, kOdd + kHuge});
  CHECK(file.delegated);
  CHECK(file.argument == 3);
  CHECK(native(9, {kAt, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3}).if_huge ==
        Range{kAt + 0x1000, kAt + (1 << 30)});
  CHECK_FALSE(native(9, {kOdd + 0x1000, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3}).delegated);
  CHECK_FALSE(native(9, {kOdd, kHuge, 0, MAP_FIXED | MAP_PRIVATE, 3}).delegated);
  CHECK(native(29, {0, 0x1000, kShmHugetlb}).makes_huge_pages);
  CHECK_FALSE(native(29, {0, 0x1000, 0}).makes_huge_pages);
  CHECK(compat(117, {kIpcShmget, 0, 0x1000, kShmHugetlb}).makes_huge_pages);
}

TEST_CASE("a bpf arena goes behind the multiple of 4 GiB that it would cross") {
  const std::uint64_t line = 0x7f01'0000'0000;
  const MmCall call = native(9, {line - 0x1000, 0x2000, 0, MAP_FIXED | MAP_SHARED, 3});
  CHECK(call.ranges[1] == Range{line, line + 0x2000});
  CHECK(native(9, {line - 0x1000, 0x2000, 0, MAP_FIXED | MAP_ANONYMOUS}).ranges[1].empty());
  CHECK(native(9, {line - 0x1000, ~0xFFFULL, 0, MAP_FIXED | MAP_SHARED, 3}).ranges[1].empty());  // it wraps
  CHECK(native(9, {line - 0x1001, 0x2000, 0, MAP_FIXED | MAP_SHARED, 3}).ranges[1].empty());
}

TEST_CASE("ranges that the kernel refuses are empty, tags are stripped") {
  CHECK(native(11, {kAt + 1, 0x1000}).ranges[0].empty());
  CHECK(native(11, {kAt, 0}).ranges[0].empty());
  CHECK(native(11, {kAt, ~0ULL}).ranges[0].empty());
  CHECK(native(11, {kAt | (3ULL << 57), 0x1000}).ranges[0] == Range{kAt, kAt + 0x1000});
}

TEST_CASE("mremap has a source, and a target if it is told one") {
  const MmCall grows = native(25, {kAt, 0x1000, 0x2000, 0, 0x1234000});
  CHECK(grows.ranges[0] == Range{kAt, kAt + 0x1000});
  CHECK(grows.ranges[1].empty());
  const MmCall moves = native(25, {kAt, 0, 0x2000, MREMAP_MAYMOVE | MREMAP_FIXED, 0x1234000});
  CHECK(moves.ranges[0] == Range{kAt, kAt + 1});
  CHECK(moves.ranges[1] == Range{0x1234000, 0x1236000});
  CHECK(moves.delegated);
  CHECK(moves.if_huge.empty());
  // The source may be of huge pages: then the target is rounded up, and since 6.17 any of several mappings.
  constexpr std::uint64_t kHuge = 2 << 20;
  const MmCall huge = native(25, {kAt, 0x1000, 0x2000, MREMAP_MAYMOVE | MREMAP_FIXED, 3 * kHuge});
  CHECK(huge.ranges[1] == Range{3 * kHuge, 4 * kHuge});
  const auto moved = [](std::uint64_t from, std::uint64_t size, std::uint64_t to) {
    return native(25, {from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to}).if_huge;
  };
  constexpr std::uint64_t kOff = kHuge - 0x1000;
  CHECK(moved(5 * kHuge + kOff, 0x2000, 9 * kHuge + kOff) == Range{10 * kHuge + 0x1000, 11 * kHuge});
  CHECK(moved(5 * kHuge + kOff, 0x2000, (1U << 30) + 5 * kHuge + kOff) ==
        Range{(1U << 30) + 6 * kHuge + 0x1000, (1U << 30) + 7 * kHuge});
  CHECK(moved((1U << 30) - 0x1000, 0x2000, (2U << 30) - 0x1000) == Range{(2U << 30) + 0x1000, 3U << 30});
  CHECK(moved(5 * kHuge + kOff, 0x2000, 9 * kHuge + kOff - 0x1000).empty());  // not both begin huge pages
  CHECK(moved(5 * kHuge + 0x1000, 0x2000, 9 * kHuge + 0x1000).empty());       // none begins there
}

TEST_CASE("mremap that shrinks huge pages unmaps up to a multiple of their size") {
  constexpr std::uint64_t kHuge = 2 << 20;
  const auto shrunk = [](std::uint64_t at, std::uint64_t from, std::uint64_t to, std::uint64_t flags = 0) {
    return native(25, {at, from, to, flags, 64 * kHuge});
  };
  const Range behind{4 * kHuge + 0x1000, 5 * kHuge};
  for (const std::uint64_t flags : {0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED}) {
    CHECK(shrunk(3 * kHuge, kHuge + 0x1000, kHuge, flags).if_huge == behind);
    CHECK(shrunk(3 * kHuge, kHuge + 0x1000, kHuge, flags).delegated);
    CHECK(shrunk(3 * kHuge, kHuge + 0x1000, 0x1000, flags).if_huge == behind);
  }
  CHECK(shrunk(1U << 30, kHuge + 0x1000, kHuge).if_huge == Range{(1U << 30) + kHuge + 0x1000, 2U << 30});
  CHECK(shrunk(3 * kHuge, kHuge + 0x1000, kHuge + 0x1000).if_huge.empty());
  CHECK_FALSE(shrunk(3 * kHuge, kHuge + 0x1000, kHuge + 0x2000).delegated);  // it grows
  CHECK_FALSE(shrunk(3 * kHuge, 2 * kHuge, kHuge).delegated);                // the registers show all
  CHECK_FALSE(shrunk(3 * kHuge + 0x1000, kHuge, 0x1000).delegated);          // no huge page begins there
  CHECK(shrunk(3 * kHuge, 0, kHuge).if_huge.empty());
}

TEST_CASE("only discarding advice discards, and only its low word counts") {
  CHECK(native(28, {kAt, 0x1000, MADV_DONTNEED}).effect == MmCall::Effect::discard);
  CHECK(native(28, {kAt, 0x1000, MADV_DONTNEED | (1ULL << 32)}).effect == MmCall::Effect::discard);
  CHECK(native(28, {kAt, 0x1000, MADV_WILLNEED}).effect == MmCall::Effect::none);
  CHECK(native(28, {kAt, 0x1000, MADV_HUGEPAGE}).effect == MmCall::Effect::none);
}

TEST_CASE("calls that are left to the supervisor, and such as nobody can judge") {
  const MmCall grows = native(10, {kAt, 0x1000, PROT_READ | PROT_GROWSDOWN});
  CHECK(grows.grows_down);
  CHECK(grows.delegated);
  CHECK_FALSE(
      native(10, {kAt, 0x1000, PROT_READ | PROT_GROWSUP}).delegated);  // there is nothing that grows up
  // The kernel refuses both at once.
  CHECK_FALSE(native(10, {kAt, 0x1000, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP}).delegated);
  for (const int everyday : {MADV_DONTNEED, MADV_FREE, MADV_WIPEONFORK, 102 /* MADV_GUARD_INSTALL */})
    CHECK_FALSE(native(28, {kAt, 0x1000, static_cast<std::uint64_t>(everyday)}).delegated);
  CHECK(native(28, {kAt, 0x1000, MADV_REMOVE}).delegated);
  CHECK(native(30, {1, kAt, 040000}).effect == MmCall::Effect::unjudgeable);
  CHECK(native(30, {1, kAt, 0}).effect == MmCall::Effect::none);
  CHECK(native(67, {kAt}).effect == MmCall::Effect::detach);
  CHECK(native(67, {kAt}).argument == kAt);
  CHECK(native(67, {0}).effect == MmCall::Effect::detach);
  CHECK(native(206, {kAt}).effect == MmCall::Effect::unjudgeable);
  CHECK(native(207, {kAt}).effect == MmCall::Effect::unjudgeable);
  CHECK(compat(90, {0x1000}).effect == MmCall::Effect::unjudgeable);
  CHECK(compat(117, {21, 0, 040000, 0, 0x5000}).effect == MmCall::Effect::unjudgeable);
  CHECK(compat(117, {21, 0, 0, 0, 0x5000}).effect == MmCall::Effect::none);
  CHECK(compat(117, {1 << 16 | 22, 0, 0, 0, 0x5000}).argument == 0x5000);
  CHECK(compat(117, {1}).effect == MmCall::Effect::none);
}

TEST_CASE("the upper halves of i386 registers are not read") {
  constexpr std::uint64_t kGarbage = 0xABCD'0000'0000'0000;
  CHECK(compat(91, {kGarbage | 0x5000, kGarbage | 0x1000}).ranges[0] == Range{0x5000, 0x6000});
  CHECK(compat(398, {kGarbage | 0x5000}).argument == 0x5000);
  CHECK(
      compat(163, {kGarbage | 0x5000, kGarbage | 0x1000, kGarbage | 0x1000, kGarbage | 3, kGarbage | 0x9000})
          .ranges[1] == Range{0x9000, 0xA000});
  CHECK(compat(219, {kGarbage | 0x5000, 0x1000, kGarbage | MADV_DONTNEED}).ranges[0] ==
        Range{0x5000, 0x6000});
}

TEST_CASE("i386 calls reach past 4 GiB") {
  CHECK(compat(91, {0xFFFFF000, 0x2000}).ranges[0] == Range{0xFFFFF000, 0x1'0000'1000});
}

TEST_CASE("remap_file_pages rounds an unaligned start down") {
  const auto remap = [](std::uint64_t start, std::uint64_t size) {
    return decode(kX86Machine, kX86Abis[0], 216, {start, size, 0, 0, 0, 0});
  };
  CHECK(remap(0x5000, 0x2000).ranges[0] == Range{0x5000, 0x7000});
  CHECK(remap(0x5619, 0x1000).ranges[0] == Range{0x5000, 0x6619});
  CHECK(remap(0x5619, 0).ranges[0].empty());
  CHECK(remap(0x5000, ~0ULL).ranges[0].empty());
}

}  // namespace
}  // namespace libmseal::policy
