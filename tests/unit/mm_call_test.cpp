#include "policy/mm_call.h"

#include <asm/unistd.h>

#include <sys/mman.h>
#include <csignal>

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
  CHECK(call_of(__NR_clone) == Call::clone);
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
  CHECK(fixed.hidden == MmCall::Hidden::none);
  CHECK(native(9, {kAt, 0x1000, 0, MAP_FIXED | MAP_ANONYMOUS | MAP_HUGETLB}).hidden ==
        MmCall::Hidden::huge_pages);
  CHECK(native(9, {kAt, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3}).hidden == MmCall::Hidden::huge_pages);
  CHECK(native(9, {kAt + 0x1000, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3}).hidden == MmCall::Hidden::none);
  CHECK(native(9, {kAt, 0x1000, 0, MAP_FIXED | MAP_PRIVATE, 3}).argument == 3);
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
}

TEST_CASE("only discarding advice discards, and only its low word counts") {
  CHECK(native(28, {kAt, 0x1000, MADV_DONTNEED}).effect == MmCall::Effect::discard);
  CHECK(native(28, {kAt, 0x1000, MADV_DONTNEED | (1ULL << 32)}).effect == MmCall::Effect::discard);
  CHECK(native(28, {kAt, 0x1000, MADV_WILLNEED}).effect == MmCall::Effect::none);
  CHECK(native(28, {kAt, 0x1000, MADV_HUGEPAGE}).effect == MmCall::Effect::none);
}

TEST_CASE("extents that no argument shows") {
  CHECK(native(10, {kAt, 0x1000, PROT_READ | PROT_GROWSDOWN}).hidden == MmCall::Hidden::grows_down);
  CHECK(native(10, {kAt, 0x1000, PROT_READ | PROT_GROWSUP}).hidden == MmCall::Hidden::grows_up);
  CHECK(native(30, {1, kAt, 040000}).hidden == MmCall::Hidden::segment);
  CHECK(native(30, {1, kAt, 0}).effect == MmCall::Effect::none);
  CHECK(native(67, {kAt}).hidden == MmCall::Hidden::attached);
  CHECK(native(207, {kAt}).hidden == MmCall::Hidden::ring);
  CHECK(compat(90, {0x1000}).hidden == MmCall::Hidden::in_memory);
  CHECK(compat(117, {21}).hidden == MmCall::Hidden::in_memory);
  CHECK(compat(117, {1 << 16 | 22}).hidden == MmCall::Hidden::in_memory);
  CHECK(compat(117, {1}).effect == MmCall::Effect::none);
}

TEST_CASE("i386 calls reach past 4 GiB") {
  CHECK(compat(91, {0xFFFFF000, 0x2000}).ranges[0] == Range{0xFFFFF000, 0x1'0000'1000});
}

TEST_CASE("clone shares memory outside the thread group in one case only") {
  CHECK(native(56, {kCloneVm | SIGCHLD}).effect == MmCall::Effect::share_memory);
  CHECK(native(56, {kCloneVm | kCloneVfork}).effect == MmCall::Effect::none);
  CHECK(native(56, {kCloneVm | kCloneThread}).effect == MmCall::Effect::none);
  CHECK(native(56, {SIGCHLD}).effect == MmCall::Effect::none);
}

TEST_CASE("remap_file_pages rounds an unaligned start down") {
  const auto remap = [](std::uint64_t start, std::uint64_t size) {
    return decode(kX86Machine, kX86Abis[0], 216, {start, size, 0, 0, 0, 0});
  };
  CHECK(remap(0x5000, 0x2000).ranges[0] == Range{0x5000, 0x7000});
  CHECK(remap(0x5000, 0x2000).hidden == MmCall::Hidden::none);
  CHECK(remap(0x5619, 0x1000).ranges[0] == Range{0x5000, 0x6619});
  CHECK(remap(0x5619, 0x1000).hidden == MmCall::Hidden::rounded);
  CHECK(remap(0x5619, 0).ranges[0].empty());
  CHECK(remap(0x5000, ~0ULL).ranges[0].empty());
}

}  // namespace
}  // namespace libmseal::policy
