// mseal status: what is sealed in a running process.
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/parsers/maps_line.h"
#include "policy/rules/seal.h"
#include "shim/common/printable.h"
#include "shim/common/seal_table.h"
#include "shim/tool/address_space.h"
#include "shim/tool/command.h"
#include "shim/tool/page.h"
#include "shim/tool/symbols.h"

namespace libmseal::tool {
namespace {

using policy::Seal;

constexpr std::string_view kTableName = "/memfd:libmseal-table";

struct Line {
  std::string text;  // as in /proc/PID/maps
  policy::Range range;
  std::uint64_t offset = 0;
  std::string name;

  [[nodiscard]] std::string protection() const {
    return text.substr(text.find(' ') + 1, std::string_view("rwxp").size());
  }
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
      lines.push_back({text, vma->range, vma->offset, std::string(vma->name)});
  }
  return lines;
}

struct OtherVersion : std::runtime_error {
  explicit OtherVersion(int process)
      : std::runtime_error(
            "the table of process " + std::to_string(process) +
            " is of another version of libmseal than this tool: what is sealed can't be told") {}
};

struct Garbage : std::runtime_error {
  explicit Garbage(int process)
      : std::runtime_error("what process " + std::to_string(process) +
                           " has for a table is none: what is sealed can't be told") {}
};

// A copy of a table, which may be anything: a process may give any file that name. So it is not mapped, and
// no pointer in it is followed out of the copy.
class TableCopy {
 public:
  TableCopy(int process, int file) : process_(process), bytes_(shim::kTableBytes / sizeof(std::uint64_t)) {
    struct stat status {};
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != shim::kTableBytes)
      throw Garbage(process);
    constexpr int kAttempts = 100;  // while it is written
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (attempt != 0) usleep(1000);
      read(file, bytes_.data(), shim::kTableBytes, 0);
      check_root();
      const std::uint32_t before = table().generation.load();
      std::uint32_t after = 0;
      read(file, &after, sizeof after, offset_of(&table().generation));
      if (before % 2 == 0 && before == after) return;
    }
    throw std::runtime_error("the table of process " + std::to_string(process) +
                             " is written all the time, or was left half-written");
  }

  [[nodiscard]] std::vector<Seal> seals() const {
    const auto& held = table().seals;
    const std::size_t count = held.size();
    const Seal* const first = held.data();
    if (count == 0) return {};
    if (count > shim::kMostSeals || !holds(first, count)) throw Garbage(process_);
    std::vector<Seal> seals(first, first + count);
    std::uint64_t end = 0;
    for (const Seal& seal : seals) {
      if (seal.range.start < end || seal.range.empty()) throw Garbage(process_);
      end = seal.range.end;
    }
    if (seals.front().range == shim::kEverything)
      throw std::runtime_error("process " + std::to_string(process_) +
                               " has more seals than its table holds: what is sealed can't be told");
    return seals;
  }

 private:
  void read(int file, void* to, std::size_t size, std::size_t offset) const {
    const ssize_t got = pread(file, to, size, static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(size)) throw Garbage(process_);
  }
  void check_root() const {
    if (root().magic != shim::kTableMagic) throw Garbage(process_);
    if (!shim::is_readable(root())) throw OtherVersion(process_);
    if (!holds(root().table.get(), 1)) throw Garbage(process_);
  }
  // Whether so many of them lie in the copy.
  template <class T>
  [[nodiscard]] bool holds(const T* items, std::size_t count) const {
    const std::size_t offset = offset_of(items);
    return offset <= shim::kTableBytes && offset % alignof(T) == 0 &&
           count <= (shim::kTableBytes - offset) / sizeof(T);
  }
  [[nodiscard]] std::size_t offset_of(const void* at) const {
    return reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(bytes_.data());
  }
  [[nodiscard]] const shim::TableRoot& root() const {
    return *reinterpret_cast<const shim::TableRoot*>(bytes_.data());
  }
  [[nodiscard]] const shim::SealTable& table() const { return *root().table; }

  int process_;
  std::vector<std::uint64_t> bytes_;
};

// The table that the process maps, by way of /proc/PID/map_files. Nothing if it maps none.
std::optional<std::vector<Seal>> read_table(int process, const std::vector<Line>& lines) {
  for (const Line& line : lines) {
    if (!line.name.starts_with(kTableName)) continue;
    char path[96];
    std::snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", process,
                  static_cast<unsigned long>(line.range.start), static_cast<unsigned long>(line.range.end));
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0) {
      throw std::runtime_error("the table of process " + std::to_string(process) +
                               " may not be looked at: run as root");
    }
    const std::unique_ptr<const int, void (*)(const int*)> closed(&file, [](const int* one) { close(*one); });
    return TableCopy(process, file).seals();
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

// All that is known of a process's seals.
struct Sealed {
  std::vector<Seal> seals;
  std::uint64_t bytes = 0;
  bool supervised = false;
};

Sealed look_at(int process, const std::vector<Line>& lines) {
  const auto table = read_table(process, lines);
  Sealed sealed{{}, 0, table.has_value()};
  std::vector<Seal> all = read_kernel_flags(process);
  if (table) all.insert(all.end(), table->begin(), table->end());
  std::ranges::sort(all, {}, [](const Seal& seal) { return seal.range.start; });  // in order, none is moved
  for (const Seal& seal : all) (void)policy::add_seal(sealed.seals, seal, ~std::size_t{0});
  for (const Seal& seal : sealed.seals) sealed.bytes += seal.range.size();
  return sealed;
}

bool has_library(const std::vector<Line>& lines) {
  return std::ranges::any_of(
      lines, [](const Line& line) { return line.name.find("/libmseal.so") != std::string::npos; });
}

// The processes that run with the library. Those that may not be looked at are left out.
int list(bool json) {
  int status = kNo;
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
                    shim::printable(program).c_str());
      }
    } catch (const OtherVersion& error) {
      std::fprintf(stderr, "mseal: %s\n", error.what());
      status = kDone;
    } catch (const Garbage& error) {
      std::fprintf(stderr, "mseal: %s\n", error.what());
    } catch (const std::exception&) {  // it has ended, or is somebody else's
      continue;
    }
  }
  if (json) std::printf("%s\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return status;
}

int show(int process, bool json) {
  const std::vector<Line> lines = read_lines(process);
  const Sealed sealed = look_at(process, lines);
  const std::vector<Seal>& seals = sealed.seals;
  const std::uint64_t bytes = sealed.bytes;
  const int status = seals.empty() ? kNo : kDone;
  if (json) {
    nlohmann::ordered_json all{{"pid", process}, {"supervised", sealed.supervised}, {"sealed_bytes", bytes}};
    for (const Line& line : lines) {
      char range[48];
      std::snprintf(range, sizeof range, "%lx-%lx", static_cast<unsigned long>(line.range.start),
                    static_cast<unsigned long>(line.range.end));
      all["maps"].push_back({{"range", range}, {"name", line.name}, {"state", state_of(seals, line.range)}});
    }
    std::printf("%s\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return status;
  }
  const bool colour = isatty(1) == 1 && std::getenv("NO_COLOR") == nullptr;
  for (const Line& line : lines) {
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
std::vector<Piece> pieces_of(const std::vector<Line>& lines, std::span<const Seal> seals) {
  std::vector<Piece> pieces;
  for (const Line& line : lines) {
    std::uint64_t next = line.range.start;
    const auto add = [&](const policy::Range& part, bool sealed) {
      if (part.empty()) return;
      pieces.push_back(
          {part, line.protection(), line.offset + (part.start - line.range.start), line.name, sealed});
      next = part.end;
    };
    policy::for_each_sealed_part(seals, line.range, [&](const policy::Range& part, const Seal&) {
      add({next, part.start}, false);
      add(part, true);
      return true;
    });
    add({next, line.range.end}, false);
  }
  return pieces;
}

int draw(int process, const std::string& path) {
  const std::vector<Line> lines = read_lines(process);
  const Sealed sealed = look_at(process, lines);
  Image image;
  image.process = process;
  image.pieces = pieces_of(lines, sealed.seals);
  std::error_code ignored;
  image.program = std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/exe", ignored);
  std::uint64_t mapped = 0;
  for (const Line& line : lines) mapped += line.range.size();

  Symbols symbols;
  const std::vector<Object> objects = objects_of(image, symbols);
  const std::string name = image.program.substr(image.program.rfind('/') + 1);
  Page page;
  page.kind = "status";
  page.title = name + ", process " + std::to_string(process);
  page.lead = sealed.seals.empty() ? "Nothing of this process is sealed."
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
    throw std::invalid_argument("'" + process + "' is no process id: a number is wanted, as ps shows it");
  return number;
}

}  // namespace

int status(const std::string& process, Form form, const std::string& page) {
  const bool json = form == Form::json;
  if (form == Form::html && process.empty())
    throw std::invalid_argument("--html draws one process: which one is wanted, as ps shows it");
  if (form == Form::html) return draw(number_of(process), page);
  return process.empty() ? list(json) : show(number_of(process), json);
}

}  // namespace libmseal::tool
