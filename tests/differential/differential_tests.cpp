// The same random operations under the kernel's own mseal(2) and under ours, compared step by step.
//
// A failure names the seed, and shows the fewest operations that still differ as a C program. By default some
// 10^5 operations; for a long run, of 10^7:
//
//   MSEAL_DIFFERENTIAL_SEEDS=1000 ctest --preset dev -L differential -j 2 --timeout 0
//
//   MSEAL_DIFFERENTIAL_SEEDS        sequences a family of operations, of a thousand operations each
//   MSEAL_DIFFERENTIAL_FIRST_SEED   where to begin
//   MSEAL_DIFFERENTIAL_ONLY_BROKEN  1: only sealed pages that are not what they were, and refused calls that
//                                   changed one
//   MSEAL_DIFFERENTIAL_WITHOUT      leaves out operations whose text has this in it ("shmat";"this;or this")
//   MSEAL_DIFFERENTIAL_FAILURES     how many differences a family are shown before it gives up (1)
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/differential/allowed_differences.h"
#include "tests/differential/generator.h"
#include "tests/differential/operation.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr int kOperations = 1000;
// RELRO and other pages of files keep their contents by default, which is more than mseal(2) does.
const std::string kOptions = "discard=kernel,backend=";
const std::string kNoAuto = ",auto=off";
const std::string kAuto = ",auto=elf,open=hugetlb_files";
const std::string kAll = ",coverage=all";

Step parse(std::string_view line, const std::string& backend) {
  Step step;
  step.outlives_exec = backend.find(kAll) == std::string::npos;
  const std::size_t number = line.find(' ');
  const std::size_t tags = line.find(" [");
  const std::size_t equals = line.find("] = ");
  const std::size_t all = line.find(" all ");
  if (tags == std::string_view::npos || equals == std::string_view::npos || all == std::string_view::npos) {
    step.trouble = "no line";
    return step;
  }
  step.call = line.substr(number + 1, tags - number - 1);
  const std::string_view near = line.substr(tags, equals - tags);
  step.touches = near.find("touches") != std::string_view::npos;
  step.may_be_huge = near.find("huge") != std::string_view::npos;
  step.near_ring = near.find("ring") != std::string_view::npos;
  step.any = near.find("any") != std::string_view::npos;
  std::string_view result = line.substr(equals + 4, all - equals - 4);
  if (const std::size_t sealed = result.find(" sealed "); sealed != std::string_view::npos) {
    step.sealed = result.substr(sealed + 8);
    result = result.substr(0, sealed);
  }
  step.result = result;
  const std::string_view rest = line.substr(all + 5);
  step.all = rest.substr(0, rest.find(' '));
  step.trouble = rest.substr(step.all.size());
  return step;
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A twin that ends early leaves lines out, and says why in the first of them.
std::vector<std::string> twin(const std::string& backend, const Sequence& sequence) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("libmseal-twin-" + std::to_string(::getpid()));
  {
    std::ofstream file(path);
    file << std::hex << "0x" << sequence.arena << '\n';
    for (const operation& one : sequence.operations) file << to_line(one) << '\n';
  }
  Command command = preloaded(kOptions + backend, {TWIN_PROGRAM, path.string()});
  command.timeout_s = 300;
  command.environment["LATER_PRELOAD"] = command.environment["LD_PRELOAD"];
  command.environment.erase("LD_PRELOAD");
  if (sequence.files != 0) command.environment["LATER_FILES"] = std::to_string(sequence.files);
  const Run result = run(command);
  std::filesystem::remove(path);
  std::vector<std::string> lines = lines_of(result.out);
  if (lines.size() < sequence.operations.size() || result.status != 0) {
    if (!lines.empty() && lines.size() == sequence.operations.size()) lines.pop_back();
    lines.push_back("ended with status " + std::to_string(result.status) + ", " + result.err);
  }
  lines.resize(sequence.operations.size());
  return lines;
}

struct Tally {
  std::map<std::string, long> allowed;
  long operations = 0;
  long touching = 0;
  long refused = 0;
};

struct Difference {
  std::size_t step;
  std::string kernel;
  std::string other;
};

// What must agree. Once the twins have been allowed to part, later answers may differ too: only the invariant
// counts then. It does so too where the supervisor can't tell processes apart (no filters to count under
// coverage=all, no descriptors left) and gives each what any of them has sealed.
enum class Agree { answers, invariant };

// The first step whose outcome under `backend` is not the kernel's, nor may differ from it.
std::optional<Difference> compare(const std::string& backend, const Sequence& sequence, Agree agree,
                                  Tally& tally) {
  const bool only_broken = agree == Agree::invariant || number_from("MSEAL_DIFFERENTIAL_ONLY_BROKEN", 0) != 0;
  const std::string more = backend.substr(backend.find(','));
  const std::vector<std::string> kernel = twin("kernel" + more, sequence);
  const std::vector<std::string> ours = twin(backend, sequence);
  for (std::size_t index = 0; index < kernel.size(); ++index) {
    const Step step = parse(ours[index], backend);
    ++tally.operations;
    tally.touching += step.touches ? 1 : 0;
    tally.refused += step.touches && step.result == "-1" ? 1 : 0;
    const Step reference = parse(kernel[index], backend);
    if (kernel[index] == ours[index] && step.trouble.empty()) continue;
    const auto name = allowed_difference(reference, step);
    if (!name && only_broken && reference.trouble.empty() && step.trouble.empty()) continue;
    if (!name) return Difference{index, kernel[index], ours[index]};
    ++tally.allowed[std::string(*name)];
  }
  return std::nullopt;
}

// Leaves out whatever the difference does not need, as far as it gets in two minutes.
Sequence shrink(const std::string& backend, Sequence sequence, Agree agree, std::size_t failing) {
  Tally ignored;
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  sequence.operations.resize(failing + 1);
  for (std::size_t piece = sequence.operations.size() / 2; piece > 0;
       piece = piece == 1 ? 0 : (piece + 1) / 2) {
    for (std::size_t at = 0; at + piece < sequence.operations.size();) {
      if (std::chrono::steady_clock::now() > end) return sequence;
      Sequence fewer = sequence;
      fewer.operations.erase(fewer.operations.begin() + static_cast<std::ptrdiff_t>(at),
                             fewer.operations.begin() + static_cast<std::ptrdiff_t>(at + piece));
      if (const auto still = compare(backend, fewer, agree, ignored)) {
        fewer.operations.resize(still->step + 1);
        sequence = fewer;
      } else {
        at += piece;
      }
    }
  }
  return sequence;
}

// To look behind what is known.
void leave_out(Sequence& sequence) {
  const char* const text = std::getenv("MSEAL_DIFFERENTIAL_WITHOUT");
  std::istringstream words(text != nullptr ? text : "");
  for (std::string word; std::getline(words, word, ';');) {
    std::erase_if(sequence.operations,
                  [&](const operation& one) { return to_text(one).find(word) != std::string::npos; });
  }
}

// The operations alone; the program around them is always the same.
std::string summary_of(const Sequence& sequence) {
  std::string text;
  for (const operation& one : sequence.operations) text += "  " + to_text(one) + "\n";
  return text;
}

std::string program_of(const Sequence& sequence, std::uint64_t seed) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("libmseal-difference-" + std::to_string(seed) + ".c");
  std::ofstream(path) << to_program(sequence);
  return path.string();
}

bool has_int80() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
    ::_exit(result == ::getpid() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0;
}

// Of 1000 operations each: nearly 10^5 in all, most of them where they are fast.
std::uint64_t usual_seeds(Family family) {
  switch (family) {
    case Family::pages:
      return 30;
    case Family::rings:  // each call waits for all processors (RCU)
    case Family::sharers:
    case Family::limits:
      return 3;
    default:
      return 10;
  }
}

void compare_family(Family family) {
  if (!needs_mseal() || !needs(::geteuid() == 0, "root, for namespaces")) return;
  const bool i386 = has_int80();
  if (family == Family::i386 && !needs(i386, "int 0x80", "i386")) return;
  const std::uint64_t first = number_from("MSEAL_DIFFERENTIAL_FIRST_SEED", 1);
  const std::uint64_t seeds = number_from("MSEAL_DIFFERENTIAL_SEEDS", usual_seeds(family));
  std::uint64_t failures_left = number_from("MSEAL_DIFFERENTIAL_FAILURES", 1);
  Tally tally;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed < first + seeds && failures_left > 0; ++seed) {
    Sequence sequence = generate(family, seed, kOperations, i386);
    leave_out(sequence);
    // Where processes are to be confounded, the program is sealed by the look at who calls.
    const std::string backend =
        "supervised" + (family == Family::limits ? kAuto : kNoAuto) + (seed % 5 == 0 ? kAll : "");
    const bool parts =
        family == Family::rings || family == Family::limits || family == Family::mixed || seed % 5 == 0;
    const Agree agree = parts ? Agree::invariant : Agree::answers;
    const auto difference = compare(backend, sequence, agree, tally);
    if (!difference) continue;
    --failures_left;
    // At once, for shrinking takes its time.
    std::cerr << "seed " << seed << ", backend=" << backend << ", " << difference->other << std::endl;
    const Sequence fewest = shrink(backend, sequence, agree, difference->step);
    std::ostringstream message;
    message << "seed " << seed << ", backend=" << backend << "\nkernel: " << difference->kernel
            << "\nours:   " << difference->other << "\nthe fewest that differ:\n"
            << summary_of(fewest) << "as a program, to run under backend=kernel and backend=" << backend
            << ": " << program_of(fewest, seed);
    if (const auto last = compare(backend, fewest, agree, tally)) {
      message << "\nwhich ends with\nkernel: " << last->kernel << "\nours:   " << last->other;
    }
    FAIL_CHECK(message.str());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  CHECK(tally.refused > static_cast<long>(seeds) * 20);
  std::ostringstream summary;
  summary << tally.operations << " operations, "
          << static_cast<long>(static_cast<double>(tally.operations) / took.count()) << " a second; "
          << tally.touching << " touched a seal, " << tally.refused << " refused";
  for (const auto& [name, count] : tally.allowed) summary << "; " << name << ": " << count;
  WARN(summary.str());
}

TEST_CASE("differential: pages alone have the outcome that the kernel's own mseal gives them") {
  compare_family(Family::pages);
}
TEST_CASE("differential: huge pages") {
  compare_family(Family::huge);
}
TEST_CASE("differential: rings of io_setup") {
  compare_family(Family::rings);
}
TEST_CASE("differential: System V segments") {
  compare_family(Family::segments);
}
TEST_CASE("differential: calls of i386 with garbage in the upper halves") {
  compare_family(Family::i386);
}
TEST_CASE("differential: the heap and what is mapped in it") {
  compare_family(Family::heap);
}
TEST_CASE("differential: stacks that grow down") {
  compare_family(Family::stacks);
}
TEST_CASE("differential: processes that share the memory") {
  compare_family(Family::sharers);
}
TEST_CASE("differential: other images, namespaces, first threads that end") {
  compare_family(Family::images);
}
TEST_CASE("differential: many children, few file descriptors") {
  compare_family(Family::limits);
}
TEST_CASE("differential: all of it") {
  compare_family(Family::mixed);
}

// backend=libc does not refuse raw system calls: the comparison must find that, and tell it in a few lines.
TEST_CASE("differential: a real difference is found, shrunk, and shown by a program") {
  if (!needs_mseal() || !needs(::geteuid() == 0, "root, for namespaces")) return;
  const Sequence sequence = generate(Family::pages, 7, 300, false);
  Tally tally;
  const auto difference = compare("libc" + kNoAuto, sequence, Agree::answers, tally);
  REQUIRE(difference);
  const Sequence fewest = shrink("libc" + kNoAuto, sequence, Agree::answers, difference->step);
  CHECK(fewest.operations.size() <= 3);

  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("libmseal-shrunk-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string program = (folder / "program").string();
  std::ofstream(program + ".c") << to_program(fewest);
  const Run built = run({{"cc", "-Wall", "-Wextra", "-Werror", "-no-pie", "-fno-pie", "-pthread", "-o",
                          program, program + ".c"},
                         {},
                         {},
                         60});
  INFO(built.err << summary_of(fewest));
  REQUIRE(built.status == 0);
  const Run kernel = run(preloaded(kOptions + "kernel" + kNoAuto, {program}));
  const Run libc = run(preloaded(kOptions + "libc" + kNoAuto, {program}));
  fs::remove_all(folder);
  CHECK(kernel.status == 0);
  CHECK(libc.status == 0);
  CHECK(kernel.out != libc.out);
}

}  // namespace
}  // namespace libmseal::tests
