// What an image meets of the seals of those before it: exec, chains of images, and trees of programs.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/container.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

// How many programs have joined with so many fences, as the supervisor says.
std::map<int, int> starts_by_fences(const std::string& log) {
  std::map<int, int> starts;
  std::ifstream lines(log);
  const std::string joined = ": joined, ";
  for (std::string line; std::getline(lines, line);) {
    const std::size_t said = line.find(joined);
    if (said != std::string::npos) ++starts[std::stoi(line.substr(said + joined.size()))];
  }
  return starts;
}

TEST_CASE("live: a program that can't be started leaves the layout of the next as it was") {
  scenario("backend=supervised", "failed_start_keeps_the_layout");
}

#ifdef __x86_64__  // elsewhere no layout keeps images apart from what others have sealed
TEST_CASE("live: a program that would start where an ancestor sealed gets another layout, or none") {
  if (!needs_personality()) return;
  for (const auto& [options, way, outcome] :
       {std::array{"backend=supervised", "by_posix_spawn", "with the library 5, without it 0, failed 0\n"},
        std::array{"backend=supervised", "past_libc", "with the library 0, without it 5, failed 0\n"},
        std::array{"backend=supervised,require=supervised", "past_libc",
                   "with the library 0, without it 0, failed 5\n"}}) {
    const Run result = run(preloaded(options, {LIVE_PROGRAM, "starts_amid_seals", way}));
    INFO(options << " " << way << ": " << result.err);
    CHECK(result.status == 0);
    CHECK(result.out == outcome);
  }
}
#endif

TEST_CASE("live: exec drops what the old image sealed") {
  scenario("backend=supervised", "exec_drops");
  scenario("backend=supervised", "exec_fences");
  scenario("backend=supervised", "hints_stay_out_of_watched_ranges");
  expect_success(run(preloaded("backend=supervised,require=supervised",
                               {LIVE_PROGRAM, "starts_behind_many_fences", "6000"})));
}

TEST_CASE("live: fifty images one after the other, each with its seals") {
  std::vector<std::pair<const char*, const char*>> chains{{"backend=supervised", "50"}};
#ifdef __x86_64__  // elsewhere images meet their ancestors' filters too often (libmseal-limits(7))
  chains.emplace_back("backend=filters", "10");
#endif
  for (const auto& [backend, length] : chains)
    expect_success(run(preloaded(backend, {LIVE_PROGRAM, "exec_chain", length})));
  scenario("backend=supervised", "forks_by_the_thousand");
}

// Each fence is a mapping, so that a start would take longer and longer. Programs that ran before have as
// many filters as the ancestors of the next ones.
TEST_CASE("live: a program has fences of its ancestors only, however many others there were") {
  const TemporaryPath log("fences.log");
  expect_success(run(preloaded("backend=supervised,log=" + log.string(),
                               {"/bin/sh", "-c",
                                "i=0; while [ $i -lt 40 ]; do i=$((i+1)); "
                                "/bin/sh -c '/bin/sh -c \"/bin/true; :\"; :'; done"})));
  const std::map<int, int> starts = starts_by_fences(log.string());
  // Those of the three levels have one number each, as all run the same two programs.
  CHECK(starts.size() <= 3);
  int count = 0;
  for (const auto& [fences, times] : starts) count += times;
  CHECK(count >= 100);
}

// How many mappings an orphan has that this command has started, and the most fences of a program of the
// tree.
std::pair<long, int> mappings_of_orphan(const std::string& command) {
  const TemporaryPath log("orphan.log");
  const Run result = run(preloaded("backend=supervised,log=" + log.string(),
                                   {"/bin/sh", LIVE_SOURCES "/orphan_among_others.sh", command}));
  INFO(result.out << result.err);
  CHECK(result.status == 0);
  int most = 0;
  for (const auto& [fences, starts] : starts_by_fences(log.string())) most = std::max(most, fences);
  return {count_lines(result.out), most};
}

// Its parent does not show who its ancestors are.
TEST_CASE("live: an orphan has fences of its ancestors only") {
  const auto [mappings, fences] = mappings_of_orphan("sh");
  CHECK(mappings > 20);
  CHECK(mappings < 100);  // hundreds, if each image of before were one of its ancestors
  CHECK(fences < 100);
}

// While the static shell runs, the supervisor remembers what filters of ended programs refuse.
TEST_CASE("live: an orphan that a subreaper has adopted has fences of its ancestors only") {
  const bool can_run =
      std::filesystem::exists("/usr/bin/python3") && std::filesystem::exists("/usr/bin/busybox");
  if (!needs(can_run, "/usr/bin/python3 and busybox")) return;
  const auto [mappings, fences] =
      mappings_of_orphan("busybox sh -c 'python3 " LIVE_SOURCES "/orphan_of_subreaper.py; :'");
  CHECK(mappings > 20);
  CHECK(mappings < 100);
  CHECK(fences < 100);
}

// A static shell does not make itself known, so the supervisor names all that may be the orphan's ancestors.
TEST_CASE("live: an orphan of a program without the library keeps the fences of its ancestors only") {
  if (!needs(std::filesystem::exists("/usr/bin/busybox"), "busybox")) return;
  const auto [mappings, fences] = mappings_of_orphan("busybox sh");
  CHECK(mappings > 20);
  CHECK(mappings < 100);
}

TEST_CASE("live: every program of a tree has its seals, however it was started") {
  if (!needs(std::filesystem::exists("/usr/bin/python3"), "/usr/bin/python3")) return;
  const TemporaryPath log("tree.log");
  const Run result =
      run(preloaded("backend=supervised,log=" + log.string(),
                    {"/usr/bin/python3", LIVE_SOURCES "/start_in_every_way.py", LIVE_PROGRAM}));
  INFO(result.err);
  CHECK(result.out == "[]\n");
  CHECK(result.status == 0);
  // One supervisor for all of them, which ends with the tree.
  const std::string text = whole_log(log.string());
  const std::size_t first = text.find("] supervisor ");
  CHECK(first != std::string::npos);
  CHECK(text.find("] supervisor ", first + 1) == std::string::npos);
}

TEST_CASE("live: scope=process leaves the children alone, until they ask for seals") {
  const std::string sealed = std::string(LIVE_PROGRAM) + " own_text_is_sealed";
  const std::string unsealed = std::string(LIVE_PROGRAM) + " own_text_is_not_sealed";
  const std::string api = std::string(LIVE_PROGRAM) + " reseals";
  for (const char* backend : {"backend=supervised", "backend=filters"}) {
    const std::string options = std::string(backend) + ",scope=process";
    expect_success(run(preloaded(options, {LIVE_PROGRAM, "own_text_is_sealed"})));
    expect_success(run(preloaded(options, {"/bin/bash", "-c", unsealed + " && " + api + "; exit $?"})));
    // The same process, another image: still what was started under the library.
    expect_success(run(preloaded(options, {"/bin/bash", "-c", "exec " + sealed})));
    expect_success(run(preloaded(backend, {"/bin/bash", "-c", sealed + "; exit $?"})));
  }
}

#ifdef __x86_64__
// What ancestors have sealed, by the supervisor and by filters, is nothing to an image, whatever kind it is
// of.
TEST_CASE("live: exec'd images of every kind are not hurt by what their ancestors sealed") {
  const TemporaryPath setuid("setuid");
  std::filesystem::copy_file(BARE_IMAGES "/static", setuid.string());
  std::filesystem::permissions(setuid.string(), std::filesystem::perms(04755));
  std::vector<std::string> images{BARE_IMAGES "/static", BARE_IMAGES "/static-pie", setuid.string()};
  const std::string narrow = BARE_IMAGES "/32-bit";
  if (needs(std::filesystem::exists(narrow), "a compiler for 32-bit programs")) {
    const bool runs = run({{"/bin/sh", "-c", narrow}, {}, {}, 60}).status != 126;
    if (needs(runs, "a kernel that runs 32-bit programs", "i386")) images.push_back(narrow);
  }
  std::string all = "set -e; ulimit -c 0; ";
  const bool chooses_layout = needs_personality();
  for (const std::string& image : images) {
    all += image + "; ";
    if (chooses_layout) all += "setarch -R " + image + "; ";
  }
  // Dynamic images: under the library, without it, and without randomised addresses.
  const std::string live = std::string(LIVE_PROGRAM);
  all += live + " own_text_is_sealed; LD_PRELOAD= /bin/true; ";
  if (chooses_layout) {
    all += "setarch -R " + live + " own_text_is_sealed; ";
    all += "LD_PRELOAD= setarch -R /bin/true; setarch -R /bin/true; ";
  }
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    for (const bool randomised : {true, false}) {
      // Without a supervisor, an image at fixed addresses meets what an earlier one has sealed there
      // (libmseal-limits(7)).
      if (!randomised && (!chooses_layout || options == std::string("backend=filters"))) continue;
      std::vector<std::string> command{LIVE_PROGRAM, "becomes", "/bin/bash", "-c", all + "exit 0"};
      if (!randomised) command.insert(command.begin(), {"/usr/bin/setarch", "-R"});
      INFO(options << (randomised ? "" : " without randomised addresses"));
      const Run result = run(preloaded(options, command));
      INFO(result.out << result.err);
      CHECK(result.status == 0);
    }
  }
}
#endif

TEST_CASE("live: images one after the other at the same addresses, in every layout of memory") {
  const std::string chain = std::string(LIVE_PROGRAM) + " exec_chain 4";
  for (const std::string& command : std::vector<std::string>{
           "exec setarch -R " + chain, "exec setarch -R -L " + chain,
           "ulimit -s unlimited && exec setarch -R " + chain, "ulimit -s unlimited && exec " + chain,
           "exec setarch -3 -R " + chain, "exec setarch -B -R " + chain}) {
    INFO(command);
    if (command.find("setarch") != std::string::npos && !needs_personality()) continue;
    expect_success(run(preloaded("backend=supervised", {"/bin/sh", "-c", command})));
  }
}

}  // namespace
}  // namespace libmseal::tests
