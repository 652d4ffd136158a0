// mseal status: shows what is sealed in a running process.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "policy/rules/seal.h"
#include "shim/common/json_text.h"
#include "shim/common/printable.h"
#include "shim/tool/address_space.h"
#include "shim/tool/command.h"
#include "shim/tool/page.h"
#include "shim/tool/sealed_process.h"
#include "shim/tool/symbols.h"

namespace libmseal::tool {
namespace {

using policy::Seal;

const char* state_of(std::span<const Seal> seals, const policy::Range& range) {
  const policy::Sealed how = policy::how_sealed(seals, range);
  switch (how.coverage) {
    case policy::Coverage::fully: {
      const bool protection = how.types.has(policy::kProtectionType);
      const bool contents = how.types.has(policy::kContentsType);
      return protection ? contents ? "sealed" : "base, protection" : contents ? "base, contents" : "base";
    }
    case policy::Coverage::partly:
      return "partly";
    case policy::Coverage::none:
      break;
  }
  return "-";
}

bool has_library(const std::vector<MapsLine>& lines) {
  return std::ranges::any_of(
      lines, [](const MapsLine& line) { return line.name.find("/libmseal.so") != std::string::npos; });
}

// Lists the processes that run with the library, except those that may not be inspected.
int list(bool json) {
  int status = kNo;
  if (!std::filesystem::exists("/proc/self")) throw std::runtime_error("/proc is not mounted");
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const int process = std::stoi(name);
    try {
      std::vector<MapsLine> lines = read_maps_of(process);
      if (!has_library(lines)) continue;
      const SealedProcess sealed = look_at_process(process, std::move(lines));
      const std::string program = std::filesystem::read_symlink(entry.path() / "exe");
      status = kDone;
      if (json) {
        all.push_back({{"pid", process},
                       {"program", program},
                       {"supervised", sealed.supervised},
                       {"sealed_bytes", sealed.bytes}});
      } else {
        std::printf("%8d %8lu KiB sealed  %s\n", process, static_cast<unsigned long>(sealed.bytes / 1024),
                    shim::printable(program).c_str());
      }
    } catch (const OtherVersion& error) {
      std::fprintf(stderr, "mseal: %s\n", error.what());
      status = kDone;
    } catch (const BadTable& error) {
      std::fprintf(stderr, "mseal: %s\n", error.what());
    } catch (const std::exception&) {  // it has ended, or belongs to another user
      continue;
    }
  }
  if (json) std::printf("%s\n", shim::json_text(all).c_str());
  return status;
}

int show(int process, bool json) {
  const SealedProcess sealed = look_at_process(process, read_maps_of(process));
  const std::vector<Seal>& seals = sealed.seals;
  const std::uint64_t bytes = sealed.bytes;
  const int status = seals.empty() ? kNo : kDone;
  if (json) {
    nlohmann::ordered_json all{{"pid", process}, {"supervised", sealed.supervised}, {"sealed_bytes", bytes}};
    for (const MapsLine& line : sealed.lines) {
      all["maps"].push_back({{"range", hex(line.range.start) + "-" + hex(line.range.end)},
                             {"name", line.name},
                             {"state", state_of(seals, line.range)}});
    }
    std::printf("%s\n", shim::json_text(all).c_str());
    return status;
  }
  const char* const terminal = std::getenv("TERM");
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  const bool colour = isatty(1) == 1 && !is_dumb && std::getenv("NO_COLOR") == nullptr;
  for (const MapsLine& line : sealed.lines) {
    const std::string state = state_of(seals, line.range);
    const char* const paint = !colour || state == "-" ? "" : state == "sealed" ? "\033[32m" : "\033[33m";
    std::printf("%s%-7s%s %s\n", paint, state.c_str(), *paint == '\0' ? "" : "\033[0m",
                shim::printable(line.text).c_str());
  }
  std::printf("%lu KiB sealed in %zu ranges%s\n", static_cast<unsigned long>(bytes / 1024), seals.size(),
              sealed.supervised ? ", under a supervisor" : "");
  return status;
}

// The mappings, cut where a seal begins or ends.
std::vector<Piece> pieces_of(const SealedProcess& sealed) {
  std::vector<Piece> pieces;
  for (const MapsLine& line : sealed.lines) {
    policy::for_each_part(sealed.seals, line.range, [&](const policy::Range& part, bool is_sealed) {
      pieces.push_back(
          {part, line.protection(), line.offset + (part.start - line.range.start), line.name, is_sealed});
      return true;
    });
  }
  return pieces;
}

int draw(int process, const std::string& path) {
  const SealedProcess sealed = look_at_process(process, read_maps_of(process));
  Image image;
  image.process = process;
  image.pieces = pieces_of(sealed);
  std::error_code ignored;
  image.program = std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/exe", ignored);
  std::uint64_t mapped = 0;
  for (const MapsLine& line : sealed.lines) mapped += line.range.size();

  Symbols symbols;
  const std::vector<Object> objects = objects_of(image, symbols);
  const std::string name = base_name(image.program);
  Page page;
  page.kind = "status";
  page.title = name + ", process " + std::to_string(process);
  page.lead = sealed.seals.empty() ? "No memory of this process is sealed."
                                   : image.program + (sealed.supervised ? ", under a supervisor" : "");
  page.numbers = {{"sealed", size_text(sealed.bytes)},
                  {"mapped", size_text(mapped)},
                  {"sealed ranges", grouped(sealed.seals.size())}};
  page.mappings = mappings_table("All mappings, as a table", objects);
  page.data = {{"kind", page.kind}, {"images", {to_json(image, objects)}}};
  write_page(page, path);
  return sealed.seals.empty() ? kNo : kDone;
}

int number_of(const std::string& process) {
  int number = 0;
  const char* const end = process.data() + process.size();
  const auto [rest, error] = std::from_chars(process.data(), end, number);
  if (error != std::errc() || rest != end || number <= 0)
    throw std::invalid_argument("'" + process + "' is not a process ID: give a number, as ps prints it");
  return number;
}

}  // namespace

int status(const std::string& process, Form form, const std::string& page) {
  const bool json = form == Form::json;
  if (form == Form::html && process.empty())
    throw std::invalid_argument("--html draws one process: give its ID");
  if (form == Form::html) return draw(number_of(process), page);
  return process.empty() ? list(json) : show(number_of(process), json);
}

}  // namespace libmseal::tool
