#include "tests/differential/operation.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>

namespace libmseal::tests {
namespace {

struct Shape {
  std::string_view name;
  std::size_t arguments;
};

constexpr Shape kShapes[] = {
#define X(name, arguments) {#name, arguments},
    OPERATION_KINDS(X)
#undef X
};

constexpr std::string_view kCallers[] = {"self", "thread", "vfork_child", "sharer", "sibling"};
static_assert(std::size(kCallers) == callers);

const Shape& shape_of(const operation& one) {
  return kShapes[one.kind];
}

std::string hex(std::uint64_t number) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, 16).ptr;
  return "0x" + std::string(digits, end);
}

std::string joined(const operation& one, std::string_view separator) {
  std::string text;
  for (std::size_t index = 0; index < shape_of(one).arguments; ++index) {
    if (index != 0) text += separator;
    text += hex(one.a[index]);
  }
  return text;
}

// Of those that are pasted, each after those that it includes.
constexpr std::string_view kFiles[] = {"operation_kinds.h", "world.h",   "calls.h",       "set_up.h",
                                       "races.h",           "actions.h", "twin_process.h"};

std::string content_of(std::string_view name) {
  std::ifstream file(DIFFERENTIAL_FOLDER + ("/" + std::string(name)));
  std::string text;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("#include \"")) text += line + "\n";
  }
  return text;
}

constexpr std::string_view kProgramHead = R"(#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
)";

constexpr std::string_view kProgramTail = R"(
static const char *const operation_texts[] = {
#define X(name, arguments) #name,
    OPERATION_KINDS(X)
#undef X
};

static unsigned long next;

static void *go_on(void *unused) {
  (void)unused;
  while (next < sizeof operations / sizeof *operations) {
    const struct operation *one = &operations[next++];
    long result = 0;
    if (one->kind == op_fresh)
      fresh(one->a[0]);
    else if (one->kind == op_fork)
      go_on_in_child();
    else if (one->kind == op_leader_exits)
      leave_to_other_thread(go_on);
    else
      result = perform(one);
    if ((unsigned long)result - world.arena <= PAGES * PAGE)
      printf("%s = page %lu\n", operation_texts[one->kind], ((unsigned long)result - world.arena) / PAGE);
    else
      printf("%s = %ld\n", operation_texts[one->kind], result);
  }
  print_pages();
  fflush(NULL);
  _exit(0);
}

int main(int count, char **arguments) {
  if (count == 4) return map_in_other_image(arguments);
  if (strcmp(FILES, "0") != 0) setenv("LATER_FILES", FILES, 1);
  const int ended = keep(count, arguments);
  if (ended >= 0) return ended;
  start_elsewhere(ARENA, arguments);
  const int failed = set_up(ARENA);
  if (failed != 0) return failed;
  go_on(NULL);
}
)";

}  // namespace

std::string to_line(const operation& one) {
  std::string line = hex(one.caller) + " " + hex(one.garbage) + " ";
  line += shape_of(one).name;
  if (shape_of(one).arguments != 0) line += " " + joined(one, " ");
  return line;
}

std::optional<operation> parse_line(std::string_view line) {
  operation one{};
  std::istringstream words{std::string(line)};
  unsigned caller = 0;
  std::string name;
  words >> std::hex >> caller >> one.garbage >> name;
  const auto* const shape = std::ranges::find(kShapes, name, &Shape::name);
  if (shape == std::end(kShapes) || caller >= callers) return std::nullopt;
  one.caller = static_cast<enum caller>(caller);
  one.kind = static_cast<operation_kind>(shape - std::begin(kShapes));
  for (std::size_t index = 0; index < shape->arguments; ++index) words >> std::hex >> one.a[index];
  return words.fail() ? std::nullopt : std::optional(one);
}

std::string to_text(const operation& one) {
  std::string text = std::string(shape_of(one).name) + "(" + joined(one, ", ") + ")";
  if (one.garbage != 0) text += " int80 " + hex(one.garbage);
  if (one.caller != by_self) text += " by " + std::string(kCallers[one.caller]);
  return text;
}

std::string to_program(const Sequence& sequence) {
  std::string program(kProgramHead);
  for (const std::string_view file : kFiles) program += content_of(file);
  program +=
      "\n#define ARENA " + hex(sequence.arena) + "UL\nstatic const struct operation operations[] = {\n";
  for (const operation& one : sequence.operations) {
    program += "    {op_" + std::string(shape_of(one).name) + ", by_" + std::string(kCallers[one.caller]) +
               ", " + hex(one.garbage) + ", {" + (shape_of(one).arguments == 0 ? "0" : joined(one, ", ")) +
               "}}, /* " + to_text(one) + " */\n";
  }
  program += "};\n#define FILES \"" + std::to_string(sequence.files) + "\"\n";
  return program + std::string(kProgramTail);
}

}  // namespace libmseal::tests
