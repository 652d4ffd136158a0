// mseal report and policy: what they say of records and policy files.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/live/runs.h"
#include "tests/live/tool.h"
#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

using nlohmann::json;

TEST_CASE("tool: status and report say in words what is wrong") {
  refuses({"status", "abc"}, "'abc' is not a process ID");
  refuses({"status", "0"}, "'0' is not a process ID");
  refuses({"status", "12x"}, "'12x' is not a process ID");
  refuses({"report", "/nonexistent/events"}, "can't be read: No such file");
  refuses({"report", "/tmp"}, "it is a directory");
  const TemporaryPath events("events.jsonl");
  for (const auto& [line, why] :
       {std::pair("{\"time\"", "it is not JSON"), std::pair("{\"time\":1}", "a field is missing"),
        std::pair("{\"program\":1}", "a field has the wrong type"),
        std::pair("7", "a field has the wrong type")}) {
    std::ofstream(events.string()) << "\n" << line << "\n";
    refuses({"report", events.string()}, std::string("line 2: not an event of libmseal: ") + why);
  }
}

TEST_CASE("tool: report leaves out a last line that is incomplete, as after a full disk, and says so") {
  const TemporaryPath events("cut.jsonl");
  const Run audit = tool({"run", "--mode=audit", "--events", events.string(), OWN_DATA_PROGRAM});
  expect_success(audit);
  (void)events_in(events.string(), 1);
  std::ofstream(events.string(), std::ios::app) << R"({"time":"2026-)";
  const Run report = tool({"report", events.string()});
  CHECK(report.status == 0);
  CHECK_THAT(report.out, ContainsSubstring("events: "));
  CHECK_THAT(report.err, ContainsSubstring("the last line is incomplete, so its event is left out"));
}

TEST_CASE("tool: report groups what an audit found, and names what would allow it") {
  const TemporaryPath events("report.jsonl");
  const TemporaryPath policy("report.toml");
  const Run audit =
      tool({"run", "--mode=audit", "--events", events.string(), "--auto=data", OWN_DATA_PROGRAM});
  expect_success(audit);
  CHECK(audit.out == kUnsealed);
  (void)events_in(events.string(), 4);
  const Run text = tool({"report", events.string()});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, ContainsSubstring("to allow it: skip=own_data_program") &&
                           ContainsSubstring("to allow it: mutable=own_data_program") &&
                           ContainsSubstring("events: 4, groups: 4"));
  const json all = json::parse(tool({"report", "--json", events.string()}).out);
  CHECK(all["events"] == 4);
  std::set<std::string> sections;
  for (const json& finding : all["findings"]) {
    sections.insert(finding["section"]);
    const std::string site = finding["site"];  // the function in the program, not libc's wrapper
    CHECK_THAT(site, ContainsSubstring("own_data_program try_to_protect+0x"));
  }
  // By the page: that of .text begins with another section, and .bss has no place in the file.
  CHECK((sections.contains(".data") && sections.contains(".rodata")));
  const Run page = tool({"report", "--html", events.string()});
  CHECK_THAT(page.out, ContainsSubstring("</html>") && ContainsSubstring("own_data_program") &&
                           !ContainsSubstring(" src=") && !ContainsSubstring("href"));

  // The policy that it proposes is one, and does allow what was found.
  std::ofstream(policy.string()) << std::string(all["policy"]);
  CHECK(tool({"policy", "check", policy.string()}).status == 0);
  const Run allowed =
      tool({"run", "--backend=supervised", "--auto=data", "--policy", policy.string(), OWN_DATA_PROGRAM});
  CHECK(allowed.out == kUnsealed);

  std::ofstream(events.string()) << "";
  CHECK(tool({"report", events.string()}).status == 1);
  std::ofstream(events.string()) << "{\"no\": \"event\"}\n";
  const Run bad = tool({"report", events.string()});
  CHECK(bad.status == 2);
  CHECK_THAT(bad.err, ContainsSubstring("line 1: not an event of libmseal"));
}

TEST_CASE("tool: report puts many files and hosts together, and its exit status tells of refusals") {
  const TemporaryPath one("web1.jsonl");
  const TemporaryPath two("web2.jsonl");
  const TemporaryPath none("none.jsonl");
  const auto event = [](const std::string& host, const std::string& site) {
    return R"({"time":"2026-01-01T00:00:0)" + std::to_string(host.size()) + R"(.000Z",)" + host +
           R"("pid":7,"tid":7,"program":"/usr/bin/a","verdict":"refused","call":"mprotect","number":10,)" +
           R"("arguments":[],"start":"0x1000","end":"0x2000","sealed":{"address":"0x1000",)" +
           R"("object":"/usr/bin/env","offset":"0x0","protection":"rw-p"},"site":{"address":"0x5",)" +
           R"("object":"/usr/bin/a","offset":")" + site + "\"}}\n";
  };
  const std::string web = R"("host":"web",)";
  std::ofstream(one.string()) << event(web, "0x5") << event(web, "0x5") << event(web, "0x6");
  std::ofstream(two.string()) << event(R"("host":"db",)", "0x5") << event("", "0x7");
  std::ofstream(none.string()) << "";
  const std::string old = two.string().substr(two.string().rfind('/') + 1);  // it names no host
  const json all = json::parse(tool({"report", "--json", one.string(), two.string()}).out);
  CHECK(all["events"] == 5);
  CHECK(all["hosts"] == json{{"web", 3}, {"db", 1}, {old, 1}});
  REQUIRE(all["findings"].size() == 3);
  const json& most = all["findings"][0];
  CHECK(most["site"] == "/usr/bin/a+0x5");
  CHECK(most["hosts"]["web"] == 2);
  CHECK(most["hosts"]["db"] == 1);
  // The files of this machine say nothing of another's.
  CHECK(most["section"] == "");
  CHECK(most["exemption"] == "mutable=env");
  CHECK_THAT(tool({"report", one.string(), two.string()}).out, ContainsSubstring("on db (1), web (2)"));
  CHECK_THAT(tool({"report", one.string()}).out, !ContainsSubstring("on web"));

  // Standard input is a file like others, and may be slow.
  const auto piped = [&](const std::string& more) {
    return run({{"/bin/sh", "-c", "(sleep 0.2; cat " + one.string() + ") | " MSEAL_TOOL " report " + more},
                {},
                {},
                60});
  };
  CHECK(piped("-").out == tool({"report", one.string()}).out);
  CHECK(piped("- " + two.string()).out == tool({"report", one.string(), two.string()}).out);
  CHECK(piped("--exit-code -").status == 1);
  CHECK_THAT(run({{"/bin/sh", "-c", "echo text | " MSEAL_TOOL " report -"}, {}, {}, 60}).err,
             ContainsSubstring("standard input, line 1: not an event of libmseal"));

  CHECK(tool({"report", one.string()}).status == 0);
  CHECK(tool({"report", "--exit-code", one.string()}).status == 1);
  CHECK(tool({"report", "--exit-code", none.string(), one.string()}).status == 1);
  CHECK(tool({"report", "--exit-code", none.string()}).status == 0);
  CHECK(tool({"report", none.string()}).status == 1);
  std::ofstream(none.string()) << "{\"lost\":1}\n";
  CHECK(tool({"report", "--exit-code", none.string()}).status == 1);
  CHECK(tool({"report", "--exit-code", one.string(), "/nonexistent/events"}).status == 2);
}

TEST_CASE("tool: report counts events of other hosts with those of this one, if they are the same") {
  const TemporaryPath here("here.jsonl");
  const TemporaryPath there("there.jsonl");
  const Run audit = tool({"run", "--backend=supervised", "--mode=audit", "--events", here.string(),
                          "--auto=data", OWN_DATA_PROGRAM});
  expect_success(audit);
  std::istringstream lines(events_in(here.string(), 4));
  std::ofstream copy(there.string());
  for (std::string line; std::getline(lines, line);) {
    json event = json::parse(line);
    event["host"] = "elsewhere";
    copy << event.dump() << "\n";
  }
  copy.close();
  const json all = json::parse(tool({"report", "--json", here.string(), there.string()}).out);
  CHECK(all["events"] == 8);
  CHECK(all["findings"].size() == 4);
  for (const json& finding : all["findings"]) {
    CHECK(finding["count"] == 2);
    CHECK(finding["hosts"]["elsewhere"] == 1);
    const std::string site = finding["site"];
    CHECK_THAT(site, ContainsSubstring("own_data_program try_to_protect+0x"));
  }
}

TEST_CASE("tool: pages are written to standard output or a file, or it is said why not") {
  const TemporaryPath events("page.jsonl");
  const TemporaryPath page("page.html");
  std::ofstream(events.string()) << "";
  const Run empty = tool({"report", events.string(), "--html"});
  CHECK(empty.status == 1);
  CHECK_THAT(empty.out, ContainsSubstring("Nothing was refused") && ContainsSubstring("</html>"));
  CHECK(tool({"report", "--html=" + page.string(), events.string()}).out == "");
  CHECK(text_in(page.string()) == empty.out);
  refuses({"report", "--html=/nonexistent/page", events.string()},
          "/nonexistent/page can't be written: No such");
  refuses({"report", "--html=/dev/full", events.string()}, "/dev/full can't be written: No space");
  refuses({"status", "--html"}, "give its ID");
  // Of maps without an event, of images that are none, and of numbers that are none.
  for (const auto& [line, why] :
       {std::pair(R"({"maps":[["0x1","0x2"]],"image":"1-2-3","host":"a","program":"p",)"
                  R"("pid":1,"parent":1})",
                  "a field is missing"),
        std::pair(R"({"maps":[],"image":7,"host":"a"})", "has the wrong type"),
        std::pair(R"({"maps":[["z","0x2","r--p","0x0","",true]],"image":"1-2-3","host":"a",)"
                  R"("program":"p","pid":1,"parent":1})",
                  "an address is not a number")}) {
    std::ofstream(events.string()) << line << "\n";
    refuses({"report", "--html", events.string()}, why);
  }
}

TEST_CASE("report: with its first event, what is mapped in a program is recorded, once") {
  for (const auto& [mode, scenario] :
       {std::pair("enforce", "own_text_is_sealed"), std::pair("audit", "audit_refuses_nothing")}) {
    const TemporaryPath events("maps.jsonl");
    expect_success(
        run(preloaded(std::string("backend=supervised,mode=") + mode + ",events=" + events.string(),
                      {"/bin/sh", "-c", "\"$0\" \"$1\"; \"$0\" \"$1\"", LIVE_PROGRAM, scenario})));
    const std::string program = std::filesystem::canonical(LIVE_PROGRAM);
    // The first event of each program, then its maps.
    std::vector<std::string> order;
    CHECK(eventually([&] {
      order.clear();
      const std::string text = text_in(events.string());
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) order.push_back(line);
      return count_in(text, "\"[stack]\"") == 2;
    }));
    std::map<std::string, int> images;     // how often the maps begin
    std::map<std::string, bool> has_text;  // the program's own code, sealed
    std::map<std::string, std::uint64_t> end;
    std::set<std::string> seen;
    for (const std::string& line : order) {
      INFO(line);
      CHECK(line.size() < 4096);  // what a pipe takes whole
      const json one = json::parse(line);
      const std::string image = one["image"];
      CHECK(one["host"] != "");
      if (!one.contains("maps")) {
        seen.insert(image);
        continue;
      }
      CHECK(seen.contains(image));
      CHECK(one["program"] == program);
      CHECK(one["parent"].get<int>() > 1);
      for (const json& row : one["maps"]) {
        const std::uint64_t start = std::stoull(row[0].get<std::string>(), nullptr, 16);
        if (!end.contains(image) || start < end[image]) ++images[image];
        end[image] = std::stoull(row[1].get<std::string>(), nullptr, 16);
        CHECK(start < end[image]);
        if (row[4] == program && row[2] == "r-xp" && row[5] == true) has_text[image] = true;
        if (row[4] == "[stack]") CHECK(row[5] == false);
      }
    }
    CHECK(images.size() == 2);
    for (const auto& [image, times] : images) {
      CHECK(times == 1);
      CHECK(has_text[image]);
    }
  }
}

TEST_CASE("report: of a program with very many mappings, so many are recorded") {
  const TemporaryPath events("many.jsonl");
  expect_success(run(preloaded("policy=none,backend=supervised,events=" + events.string(),
                               {LIVE_PROGRAM, "refusals_among_mappings", "20000", "10"})));
  CHECK(eventually([&] { return text_in(events.string()).find("\"cut\":true") != std::string::npos; }));
  std::size_t rows = 0;
  std::istringstream lines(text_in(events.string()));
  for (std::string line; std::getline(lines, line);)
    rows += json::parse(line).value("maps", json::array()).size();
  CHECK(rows == 4096);
}

TEST_CASE("tool: report tells of events that are missing in the file") {
  const TemporaryPath events("lost.jsonl");
  std::ofstream(events.string()) << "{\"time\":\"t\",\"lost\":7,\"why\":\"too many per second\"}\n";
  const Run text = tool({"report", events.string()});
  CHECK(text.status == 1);
  CHECK_THAT(text.out, ContainsSubstring("7 more events were not recorded") &&
                           !ContainsSubstring("nothing was refused"));
  CHECK(json::parse(tool({"report", "--json", events.string()}).out)["lost"] == 7);
}

TEST_CASE("tool: policy check and policy show") {
  const TemporaryPath file("policy.toml");
  std::ofstream(file.string())
      << "auto = \"elf\"\nlate = \"off\"\n[[program]]\nname = \"sleep\"\nauto = \"data\"\n";
  const Run good = tool({"policy", "check", file.string()});
  CHECK(good.status == 0);
  CHECK(good.out + good.err == "");
  CHECK_THAT(tool({"policy", "show", "/bin/sleep", "--policy", file.string()}).out,
             ContainsSubstring("\nlate=off\nauto=data\n") && !ContainsSubstring("auto=elf"));
  std::ofstream(file.string()) << "auto = \"elv\"\n";
  const Run bad = tool({"policy", "check", file.string()});
  CHECK(bad.status == 2);
  CHECK(bad.err == file.string() + ":1:8: 'elv' is not understood; allowed: off, marked, elf, data\n");
  CHECK(tool({"policy", "check", "/nonexistent/policy.toml"}).status == 2);
}

}  // namespace
}  // namespace libmseal::tests
