#include "policy/parsers/stat_line.h"

#include <string>

#include "tests/support/catch.h"

namespace libmseal::policy {
namespace {

// Every field from 3 on is its own number times a thousand, but for the state.
std::string line_with(const std::string& command, int last = 52) {
  std::string text = "4711 (" + command + ") S";
  for (int field = 4; field <= last; ++field) text += ' ' + std::to_string(field * 1000);
  return text + '\n';
}

TEST_CASE("the fields are those of proc(5)") {
  const auto line = parse_stat_line(line_with("cat"));
  REQUIRE(line);
  CHECK(line->state == 'S');
  CHECK(line->flags == 9000);
  CHECK(line->user_time == 14000);
  CHECK(line->threads == 20000);
  CHECK(line->start_time == 22000);
  CHECK(line->size == 23000);
  CHECK(line->start_code == 26000);
  CHECK(line->start_stack == 28000);
  CHECK(line->start_brk == 47000);
  CHECK(line->arg_start == 48000);
  CHECK(line->env_start == 50000);
}

TEST_CASE("a line as the kernel writes it") {
  const auto line = parse_stat_line(
      "1402 (sh) Z 1398 1402 1398 34816 1402 4194368 243 0 0 0 0 0 0 0 20 0 1 0 9417 0 0 "
      "18446744073709551615 0 "
      "0 0 0 0 0 0 0 65538 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  REQUIRE(line);
  CHECK(line->state == 'Z');
  CHECK(line->flags == 4194368);
  CHECK((line->flags & kForkedNoExec) != 0);
  CHECK(line->threads == 1);
  CHECK(line->start_time == 9417);
  CHECK(line->size == 0);
  CHECK(line->start_stack == 0);
}

TEST_CASE("the largest numbers fit") {
  std::string text = line_with("x");
  const std::string from = " 28000 ";
  text.replace(text.find(from), from.size(), " 18446744073709551615 ");
  REQUIRE(parse_stat_line(text));
  CHECK(parse_stat_line(text)->start_stack == ~0ULL);
}

TEST_CASE("a command may look like the rest of the line") {
  for (const char* command :
       {"", " ", "a b", ")", "((", "a) Z 1 2 3", ") R 1 1 1 1 1 64 1 (", "tab\there", "\xff\xfe"}) {
    INFO(command);
    const auto line = parse_stat_line(line_with(command));
    REQUIRE(line);
    CHECK(line->state == 'S');
    CHECK(line->flags == 9000);
    CHECK(line->env_start == 50000);
  }
}

TEST_CASE("a line that ends too early is none") {
  CHECK(parse_stat_line(line_with("x", 50)));
  for (int last = 3; last < 50; ++last) {
    INFO(last);
    CHECK_FALSE(parse_stat_line(line_with("x", last)));
  }
  const std::string whole = line_with("x", 50);
  // Cut inside the last number: a shorter number can't be told from it, so whoever reads must read to the
  // end.
  for (std::size_t length = 0; length + 7 < whole.size(); ++length) {
    INFO(length);
    CHECK_FALSE(parse_stat_line(std::string_view(whole).substr(0, length)));
  }
}

TEST_CASE("what has not the form of a stat line is none") {
  std::string text = line_with("x");
  text.replace(text.find(" 22000 "), 7, " 2x000 ");
  CHECK_FALSE(parse_stat_line(text));
  text = line_with("x");
  text.replace(text.find(" 22000 "), 7, " -1 ");
  CHECK_FALSE(parse_stat_line(text));
  text = line_with("x");
  text.replace(text.find(" 22000 "), 7, " 18446744073709551616 ");
  CHECK_FALSE(parse_stat_line(text));
  for (const char* bad : {"", ")", "()", "1 (x)", "1 (x) ", "1 (x S 1 2 3", "\n"}) {
    INFO(bad);
    CHECK_FALSE(parse_stat_line(bad));
  }
}

}  // namespace
}  // namespace libmseal::policy
