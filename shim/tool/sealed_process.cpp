#include "shim/tool/sealed_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "policy/parsers/maps_line.h"
#include "shim/common/seal_table.h"
#include "shim/common/table_size.h"

namespace libmseal::tool {

using policy::Seal;

OtherVersion::OtherVersion(int process)
    : std::runtime_error("the seal table of process " + std::to_string(process) +
                         " is of another version of libmseal than this tool, which can't read it") {}

BadTable::BadTable(int process)
    : std::runtime_error("the seal table of process " + std::to_string(process) +
                         " is malformed, so its seals are unknown") {}

namespace {

// A copy of a seal table. It is untrusted, because a process may give any file that name. So it is not
// mapped, and no pointer is followed out of the copy.
class TableCopy {
 public:
  TableCopy(int process, int file) : process_(process), bytes_(shim::kTableBytes / sizeof(std::uint64_t)) {
    struct stat status {};
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != shim::kTableBytes)
      throw BadTable(process);
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
    throw std::runtime_error("the seal table of process " + std::to_string(process) +
                             " changes constantly, or was left half-written");
  }

  [[nodiscard]] std::vector<Seal> seals() const {
    const auto& held = table().seals;
    const std::size_t count = held.size();
    const Seal* const first = held.data();
    if (count != 0 && (count > shim::kMostSeals || !holds(first, count))) throw BadTable(process_);
    std::vector<Seal> seals(first, first + count);
    std::uint64_t end = 0;
    for (const Seal& seal : seals) {
      if (seal.range.start < end || seal.range.empty()) throw BadTable(process_);
      end = seal.range.end;
    }
    if (count != 0 && seals.front().range == shim::kEverything)
      throw std::runtime_error("process " + std::to_string(process_) +
                               " has more seals than its table holds, so they are unknown");
    // All mappings in the sealed area are sealed, but they are not in the table.
    for (const Seal& half : policy::seals_of_sealed_area(root().sealed_area))
      (void)policy::add_seal(seals, half, ~std::size_t{0});
    return seals;
  }

 private:
  void read(int file, void* to, std::size_t size, std::size_t offset) const {
    const ssize_t got = pread(file, to, size, static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(size)) throw BadTable(process_);
  }
  void check_root() const {
    if (root().magic != shim::kTableMagic) throw BadTable(process_);
    if (!shim::is_readable(root())) throw OtherVersion(process_);
    if (!holds(root().table.get(), 1)) throw BadTable(process_);
  }
  // Whether `count` objects lie in the copy.
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

// The table that the process maps, read through /proc/PID/map_files. Nothing if it maps none.
std::optional<std::vector<Seal>> read_table(int process, const std::vector<MapsLine>& lines) {
  for (const MapsLine& line : lines) {
    if (!line.name.starts_with(shim::kTablePath)) continue;
    char path[96];
    std::snprintf(path, sizeof path, "/proc/%d/map_files/%lx-%lx", process,
                  static_cast<unsigned long>(line.range.start), static_cast<unsigned long>(line.range.end));
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0) {
      throw std::runtime_error("no permission to inspect the seal table of process " +
                               std::to_string(process) +
                               ": this needs root outside of containers, or CAP_CHECKPOINT_RESTORE");
    }
    const std::unique_ptr<const int, void (*)(const int*)> closed(&file, [](const int* one) { close(*one); });
    return TableCopy(process, file).seals();
  }
  return std::nullopt;
}

// Kernels with mseal(2) show seals in smaps, as the flag sl.
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

}  // namespace

std::vector<MapsLine> read_maps_of(int process) {
  std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
  if (!maps) {
    throw std::runtime_error("there is no process " + std::to_string(process) +
                             ", or you are not allowed to inspect it");
  }
  std::vector<MapsLine> lines;
  for (std::string text; std::getline(maps, text);) {
    if (const auto vma = policy::parse_maps_line(text))
      lines.push_back({text, vma->range, vma->offset, std::string(vma->name)});
  }
  return lines;
}

SealedProcess look_at_process(int process, std::vector<MapsLine> lines) {
  const auto table = read_table(process, lines);
  SealedProcess sealed{std::move(lines), {}, 0, table.has_value()};
  std::vector<Seal> all = read_kernel_flags(process);
  if (table) all.insert(all.end(), table->begin(), table->end());
  std::ranges::sort(all, {}, policy::start_of);  // so that add_seal appends
  for (const Seal& seal : all) (void)policy::add_seal(sealed.seals, seal, ~std::size_t{0});
  // For the sealed area, count only what is mapped there.
  for (const MapsLine& line : sealed.lines) {
    policy::for_each_sealed_part(sealed.seals, line.range, [&](const policy::Range& part, const Seal&) {
      sealed.bytes += part.size();
      return true;
    });
  }
  return sealed;
}

}  // namespace libmseal::tool
