// Objects that dlopen brings, and objects of unusual kinds.
#include <filesystem>
#include <string>
#include <vector>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

const std::string kEnd = "default next error\n";

std::string loaded(const std::string& options, const std::vector<std::string>& names) {
  std::vector<std::string> command{LOADING_PROGRAM};
  command.insert(command.end(), names.begin(), names.end());
  const Run result = run(preloaded("policy=none," + options, command));
  INFO(options << ": " << result.err);
  CHECK(result.status == 0);
  return result.out;
}

TEST_CASE("live: objects that are never unloaded are sealed when they come, by option all") {
  for (const std::string backend :
       {"backend=supervised", "backend=filters", "backend=supervised,coverage=all", "backend=kernel"}) {
    if (backend == "backend=kernel" && !needs_mseal()) continue;
    CHECK(loaded(backend, {"plain", "nodelete"}) == "plain: 42, open\nnodelete: 42, sealed\n" + kEnd);
    CHECK(loaded(backend + ",late=off", {"nodelete"}) == "nodelete: 42, open\n" + kEnd);
    CHECK(loaded(backend + ",late=all", {"plain", "plain"}) ==
          "plain: 42, sealed\nplain: 42, sealed\n" + kEnd);  // the first one stays where it was
    CHECK(loaded(backend + ",skip=nodelete.so", {"nodelete"}) == "nodelete: 42, open\n" + kEnd);
  }
  CHECK(loaded("auto=off,backend=supervised", {"nodelete"}) == "nodelete: 42, open\n" + kEnd);
}

TEST_CASE("live: late=all seals what a thread has loaded while others load and unload") {
  namespace fs = std::filesystem;
  const TemporaryPath folder("objects");
  fs::create_directory(folder.string());
  for (int copy = 0; copy < 6; ++copy)
    fs::copy_file(PLUGINS "/plain.so", folder.string() + "/" + std::to_string(copy) + ".so");
  for (const std::string backend : {"backend=supervised,coverage=all", "backend=kernel"}) {
    if (backend == "backend=kernel" && !needs_mseal()) continue;
    CHECK(loaded(backend + ",late=all", {"*" + folder.string()}) == "threads: 0 failures\n" + kEnd);
  }
}

TEST_CASE("live: mseal_loaded seals what is loaded, whatever was sealed at start") {
  for (const std::string backend : {"backend=supervised", "backend=filters",
                                    "backend=supervised,coverage=all", "backend=libc", "backend=kernel"}) {
    if (backend == "backend=kernel" && !needs_mseal()) continue;
    for (const std::string options : {",late=off", ",auto=off", ",auto=marked"}) {
      CHECK(loaded(backend + options,
                   {"plain", "+plain", "+lazy", "mseal_loaded", "mseal_loaded", "plain", "ifunc"}) ==
            "plain: 42, open\nmseal_loaded: 0\nmseal_loaded: 0\nplain: 42, sealed\nifunc: 42, open\n" + kEnd);
    }
    CHECK(loaded(backend + ",auto=off,skip=plain.so", {"+plain", "+lazy", "mseal_loaded", "plain", "lazy"}) ==
          "mseal_loaded: 0\nplain: 42, open\nlazy: 42, sealed\n" + kEnd);
  }
}

TEST_CASE("live: objects of unusual kinds work, before and after they are sealed") {
  for (const std::string options :
       {"backend=supervised", "backend=supervised,auto=data", "backend=filters,auto=data"}) {
    CHECK(loaded(options, {"lazy", "ifunc", "prelinked", "patching"}) ==
          "lazy: 42, sealed\nifunc: 42, sealed\nprelinked: 42, sealed\npatching: 42, sealed\n" + kEnd);
    // Nothing tells when the dynamic linker is through with text that it patches.
    CHECK(loaded(options + ",late=all", {"textrel"}) == "textrel: 42, open\n" + kEnd);
  }
}

TEST_CASE("live: an object that wants an executable stack needs the dynamic linker unsealed") {
  // It would change a page of its own that is RELRO: mseal(2) refuses that as well. Since glibc 2.41 it does
  // not load such objects at all.
  Command plain;
  plain.arguments = {LOADING_PROGRAM, "execstack"};
  const Run alone = run(plain);
  const std::string unsealed =
      alone.out == "execstack: not loaded\n" + kEnd ? alone.out : "execstack: 42, sealed\n" + kEnd;
  for (const std::string backend : {"backend=supervised", "backend=kernel"}) {
    if (backend == "backend=kernel" && !needs_mseal()) continue;
    CHECK(loaded(backend, {"execstack"}) == "execstack: not loaded\n" + kEnd);
    CHECK(loaded(backend + ",skip=ld-linux*", {"execstack"}) == unsealed);
  }
}

std::string started_with(const std::string& name, const std::string& options) {
  Command command = preloaded("policy=none," + options, {LOADING_PROGRAM, "-"});
  command.environment["LD_PRELOAD"] += ":" PLUGINS "/" + name + ".so";
  const Run result = run(command);
  INFO(result.err);
  CHECK(result.status == 0);
  return result.out;
}

TEST_CASE("live: an object seals in its constructor, before that of the library has run") {
  for (const std::string options :
       {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    CHECK(started_with("early", options) == "-: 42, sealed\n" + kEnd);
    CHECK(started_with("early", options + ",auto=off") == "-: 42, open\n" + kEnd);
  }
  if (needs_mseal()) CHECK(started_with("early", "backend=kernel") == "-: 42, sealed\n" + kEnd);
}

TEST_CASE("live: a child seals what it loads, unless its parent had threads") {
  for (const std::string backend : {"backend=supervised", "backend=filters"}) {
    CHECK(loaded(backend, {"child", "thread", "nodelete"}) == "nodelete: 42, sealed\n" + kEnd);
    CHECK(loaded(backend, {"thread", "child", "nodelete"}) == "nodelete: 42, open\n" + kEnd);
  }
}

TEST_CASE("live: objects of unusual kinds work when they are there from the start") {
  for (const std::string options : {"auto=elf", "auto=data"}) {
    for (const char* name : {"plain", "lazy", "ifunc", "prelinked", "textrel", "execstack", "patching"}) {
      INFO(name << " " << options);
      CHECK(started_with(name, "backend=supervised," + options) == "-: 42, sealed\n" + kEnd);
    }
  }
}

}  // namespace
}  // namespace libmseal::tests
