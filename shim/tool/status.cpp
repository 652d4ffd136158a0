// mseal status: what is sealed in a running process.
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/maps_line.h"
#include "policy/seal.h"
#include "shim/common/seal_table.h"
#include "shim/tool/command.h"

namespace libmseal::tool {
namespace {

using policy::Seal;

constexpr std::string_view kTableName = "/memfd:libmseal-table";

struct Line {
  std::string text;  // as in /proc/PID/maps
  policy::Range range;
  std::string name;
};

std::vector<Line> read_lines(int process) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  if (!maps) {
    throw std::runtime_error("there is no process " + std::to_string(process) +
                             ", or it may not be looked at");
  }
  std::vector<Line> lines;
  for (std::string text; std::getline(maps, text);) {
    if (const auto vma = policy::parse_maps_line(text))
      lines.push_back({text, vma->range, std::string(vma->name)});
  }
  return lines;
}

struct OtherVersion : std::runtime_error {
  explicit OtherVersion(int process)
      : std::runtime_error(
            "the table of process " + std::to_string(process) +
            " is of another version of libmseal than this tool: what is sealed can't be told") {}
};

// The table that the process maps, by way of /proc/PID/map_files. Nothing if it maps none.
std::optional<std::vector<Seal>> read_table(int process, const std::vector<Line>& lines) {
  for (const Line& line : lines) {
    if (!line.name.starts_with(kTableName)) continue;
    char path[96];
    std::snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", process,
                  static_cast<unsigned long>(line.range.start), static_cast<unsigned long>(line.range.end));
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      throw std::runtime_error("the table of process " + std::to_string(process) +
                               " may not be looked at: run as root");
    }
    void* const memory = mmap(nullptr, shim::kTableBytes, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) throw std::runtime_error("the table can't be mapped");
    const auto* const root = static_cast<const shim::TableRoot*>(memory);
    std::vector<Seal> seals;
    const bool readable = shim::is_readable(*root);
    if (readable) seals.assign(root->table->seals.begin(), root->table->seals.end());
    munmap(memory, shim::kTableBytes);
    if (!readable) throw OtherVersion(process);
    return seals;
  }
  return std::nullopt;
}

// Kernels with mseal(2) say it themselves, as the flag sl.
std::vector<Seal> read_kernel_flags(int process) {
  std::ifstream smaps("/proc/" + std::to_string(process) + "/smaps");
  std::vector<Seal> seals;
  policy::Range current;
  for (std::string text; std::getline(smaps, text);) {
    if (const auto vma = policy::parse_maps_line(text)) current = vma->range;
    if (text.starts_with("VmFlags:") && (text + " ").find(" sl ") != std::string::npos)
      (void)policy::add_seal(seals, {current, true}, ~std::size_t{0});
  }
  return seals;
}

const char* state_of(std::span<const Seal> seals, const policy::Range& range) {
  switch (policy::coverage(seals, range)) {
    case policy::Coverage::fully:
      return "sealed";
    case policy::Coverage::partly:
      return "partly";
    case policy::Coverage::none:
      break;
  }
  return "-";
}

// All that is known of a process's seals.
struct Sealed {
  std::vector<Seal> seals;
  std::uint64_t bytes = 0;
  bool supervised = false;
};

Sealed look_at(int process, const std::vector<Line>& lines) {
  const auto table = read_table(process, lines);
  Sealed sealed{read_kernel_flags(process), 0, table.has_value()};
  for (const Seal& seal : table.value_or(std::vector<Seal>{}))
    (void)policy::add_seal(sealed.seals, seal, ~std::size_t{0});
  for (const Seal& seal : sealed.seals) sealed.bytes += seal.range.size();
  return sealed;
}

bool has_library(const std::vector<Line>& lines) {
  return std::ranges::any_of(lines, [](const Line& line) { return line.name.ends_with("/libmseal.so"); });
}

// The processes that run with the library. Those that may not be looked at are left out.
void list(bool json, int& status) {
  status = kNo;
  if (!std::filesystem::exists("/proc/self"))
    throw std::runtime_error("/proc is not mounted, which tells of processes");
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const int process = std::stoi(name);
    try {
      const std::vector<Line> lines = read_lines(process);
      if (!has_library(lines)) continue;
      const Sealed sealed = look_at(process, lines);
      const std::string program = std::filesystem::read_symlink(entry.path() / "exe");
      status = kDone;
      if (json) {
        all.push_back({{"pid", process},
                       {"program", program},
                       {"supervised", sealed.supervised},
                       {"sealed_bytes", sealed.bytes}});
      } else {
        std::printf("%8d %8lu KiB sealed  %s\n", process, static_cast<unsigned long>(sealed.bytes / 1024),
                    program.c_str());
      }
    } catch (const OtherVersion& error) {
      std::fprintf(stderr, "mseal: %s\n", error.what());
      status = kDone;
    } catch (const std::exception&) {  // it has ended, or is somebody else's
      continue;
    }
  }
  if (json) std::printf("%s\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void show(int process, bool json, int& status) {
  const std::vector<Line> lines = read_lines(process);
  const Sealed sealed = look_at(process, lines);
  const std::vector<Seal>& seals = sealed.seals;
  const std::uint64_t bytes = sealed.bytes;
  status = seals.empty() ? kNo : kDone;
  if (json) {
    nlohmann::ordered_json all{{"pid", process}, {"supervised", sealed.supervised}, {"sealed_bytes", bytes}};
    for (const Line& line : lines) {
      char range[48];
      std::snprintf(range, sizeof range, "%lx-%lx", static_cast<unsigned long>(line.range.start),
                    static_cast<unsigned long>(line.range.end));
      all["maps"].push_back({{"range", range}, {"name", line.name}, {"state", state_of(seals, line.range)}});
    }
    std::printf("%s\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  const bool colour = isatty(1) == 1 && std::getenv("NO_COLOR") == nullptr;
  for (const Line& line : lines) {
    const std::string state = state_of(seals, line.range);
    const char* const paint = !colour || state == "-" ? "" : state == "sealed" ? "\033[32m" : "\033[33m";
    std::printf("%s%-7s%s %s\n", paint, state.c_str(), *paint == '\0' ? "" : "\033[0m", line.text.c_str());
  }
  std::printf("%lu KiB sealed in %zu ranges%s\n", static_cast<unsigned long>(bytes / 1024), seals.size(),
              sealed.supervised ? ", under a supervisor" : "");
}

int number_of(const std::string& process) {
  int number = 0;
  const char* const end = process.data() + process.size();
  const auto [rest, error] = std::from_chars(process.data(), end, number);
  if (error != std::errc() || rest != end || number <= 0)
    throw std::invalid_argument("'" + process + "' is no process id: a number is wanted, as ps shows it");
  return number;
}

}  // namespace

void add_status(CLI::App& app, int& status) {
  struct Choice {
    std::string process;
    bool json = false;
  };
  auto choice = std::make_shared<Choice>();
  CLI::App* const command = app.add_subcommand(
      "status", "Shows the mappings of a process and which are sealed; exit status 1: none");
  command->add_option("pid", choice->process, "the process; without it, all that run with the library");
  command->add_flag("--json", choice->json, "for programs");
  command->callback([choice, &status] {
    if (choice->process.empty()) {
      list(choice->json, status);
    } else {
      show(number_of(choice->process), choice->json, status);
    }
  });
}

}  // namespace libmseal::tool
