#include "policy/parsers/syscall_line.h"

#include <string>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

std::optional<Whereabouts> parse(std::string_view line) {
  return parse_syscall_line(kX86Machine, line);
}

TEST_CASE("a thread is where the kernel says") {
  CHECK(parse("running\n") == Whereabouts::running);
  CHECK(parse("-1 0x7ffd5c0b1e48 0x55d0c8a2b1f3\n") == Whereabouts::elsewhere);
  // munmap, and poll
  CHECK(parse("11 0x7f1200000000 0x1000 0x0 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::in_call);
  CHECK(parse("7 0x7ffd5c0b1e48 0x1 0xffffffff 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::elsewhere);
}

TEST_CASE("mseal itself changes no memory") {
  CHECK(parse("462 0x7f1200000000 0x1000 0x0 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::elsewhere);
}

TEST_CASE("a number counts for i386 unless an argument is too wide for it") {
  // 45: recvfrom, and brk of i386
  CHECK(parse("45 0x3 0x7f1200000000 0x400 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::elsewhere);
  CHECK(parse("45 0x804c000 0x0 0x0 0x0 0x0 0x0 0xffd5c0b0 0xf7f12345\n") == Whereabouts::in_call);
  // 257: openat, and remap_file_pages of i386
  CHECK(parse("257 0xffffff9c 0x7f1200000000 0x0 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::elsewhere);
  CHECK(parse("257 0x1000 0x2000 0x0 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") == Whereabouts::in_call);
}

TEST_CASE("before the first filter a number counts in every ABI, however wide the arguments are") {
  const auto before = [](std::string_view line) {
    return parse_syscall_line(kX86Machine, line, Begun::perhaps_before);
  };
  // madvise of i386, and recvfrom, which is brk of i386
  constexpr std::string_view kMadvise =
      "219 0x750000000 0x4000 0x4 0x900000000 0x0 0x0 0x7ffd5c0b1e48 0x401000\n";
  CHECK(parse(kMadvise) == Whereabouts::elsewhere);
  CHECK(before(kMadvise) == Whereabouts::in_call);
  CHECK(before("45 0x3 0x7f1200000000 0x400 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::in_call);
  // madvise of x32
  CHECK(before("1073741852 0x50000000 0x4000 0x4 0x0 0x0 0x0 0x7ffd5c0b1e48 0x401000\n") ==
        Whereabouts::in_call);
  CHECK(before("7 0x7ffd5c0b1e48 0x1 0xffffffff 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n") ==
        Whereabouts::elsewhere);
}

TEST_CASE("who makes a process with the same memory is seen at it") {
  const std::string rest = " 0x7f1200000000 0x0 0x0 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n";
  CHECK(parse("58 0x0" + rest) == Whereabouts::cloning);          // vfork
  CHECK(parse("435 0x7ffd0000" + rest) == Whereabouts::cloning);  // clone3
  CHECK(parse("56 0x4111" + rest) == Whereabouts::cloning);       // clone: VM, VFORK
  CHECK(parse("56 0x3d0f00" + rest) == Whereabouts::elsewhere);   // a thread
  CHECK(parse("56 0x1200011" + rest) == Whereabouts::elsewhere);  // fork by clone
  CHECK(parse("57 0x0" + rest) == Whereabouts::elsewhere);        // fork
  CHECK(parse("120 0x4111 0x0 0x0 0x0 0x0 0x0 0xffd5c0b0 0xf7f12345\n") == Whereabouts::cloning);
}

TEST_CASE("a call that is blocked where there are seals counts as one that changes memory") {
  const std::string rest = " 0x0 0x0 0x7ffd5c0b1e48 0x7f1234567890\n";
  CHECK(parse("157 0x23 0xe 0x7f1200000000 0x68" + rest) == Whereabouts::in_call);        // prctl: SET_MM
  CHECK(parse("453 0x0 0x1000 0x1 0x0" + rest) == Whereabouts::in_call);                  // map_shadow_stack
  CHECK(parse("157 0x100000023 0x1 0x7f1200000000 0x0" + rest) == Whereabouts::in_call);  // of which an int
  CHECK(parse("157 0xf 0x7f1200000000 0x0 0x0" + rest) == Whereabouts::elsewhere);        // SET_NAME
  CHECK(parse("425 0x4 0x7f1200000000 0x0 0x0" + rest) == Whereabouts::in_call);          // io_uring_setup
  CHECK(parse("440 0x3 0x7f1200000000 0x1 0x4" + rest) == Whereabouts::in_call);          // process_madvise
  CHECK(parse("440 0x3 0x7f1200000000 0x1 0x15" + rest) == Whereabouts::elsewhere);       // PAGEOUT
  CHECK(parse("319 0x7f1200000000 0x5 0x0 0x0" + rest) == Whereabouts::in_call);          // memfd: HUGETLB
  CHECK(parse("319 0x7f1200000000 0x1 0x0 0x0" + rest) == Whereabouts::elsewhere);        // CLOEXEC
  CHECK(parse("134 0x7f1200000000 0x0 0x0 0x0" + rest) == Whereabouts::in_call);          // uselib
  CHECK(parse("158 0x5001 0x1 0x0 0x0" + rest) == Whereabouts::in_call);                  // shadow stack
  CHECK(parse("158 0x1002 0x7f1200000000 0x0 0x0" + rest) == Whereabouts::elsewhere);     // SET_FS
  CHECK(parse("317 0x1 0x8 0x7f1200000000 0x0" + rest) == Whereabouts::in_call);          // a listener
  CHECK(parse("317 0x1 0x1 0x7f1200000000 0x0" + rest) == Whereabouts::elsewhere);        // TSYNC
  CHECK(parse("172 0x23 0xe 0x8049000 0x68 0x0 0x0 0xffd5c0b0 0xf7f12345\n") == Whereabouts::in_call);
  CHECK(parse("356 0x8049000 0x4 0x0 0x0 0x0 0x0 0xffd5c0b0 0xf7f12345\n") == Whereabouts::in_call);
}

TEST_CASE("what is no such line says nothing") {
  for (const std::string_view line :
       {"", "\n", "-", "-1", "run", "11", "11 ", "11 0x1 0x2 0x3 0x4 0x5", "11 1 2 3 4 5 6", "x 0x1",
        "99999999999999999999999 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8"}) {
    INFO(line);
    CHECK_FALSE(parse(line));
  }
  // A number that is none of 32 bits is no call of ours.
  CHECK(parse("4294967307 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8") == Whereabouts::elsewhere);
}

}  // namespace
}  // namespace libmseal::policy
