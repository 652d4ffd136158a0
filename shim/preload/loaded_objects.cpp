#include "shim/preload/loaded_objects.h"

#include <fcntl.h>
#include <link.h>

#include <array>
#include <cerrno>

#include "policy/elf_note.h"
#include "policy/elf_segments.h"
#include "policy/pattern.h"
#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

using policy::Range;

struct Segments {
  const State* state = nullptr;
  policy::FixedVector<Range, 2048> loaded;
  policy::FixedVector<Range, 256> changing;
  bool too_many = false;
};

Range pages_of(const State& state, std::uint64_t start, std::uint64_t size) {
  const std::uint64_t page = state.machine.page_size;
  return {policy::round_down(start, page), policy::round_up(start + size, page)};
}

// Whether the lists name the object. What MSEAL_OPTIONS says goes before what policy files say.
bool is_named(std::string_view by_options, std::string_view by_policy, const char* path) {
  const policy::Listed listed = policy::look_up(by_options, path);
  if (listed != policy::Listed::not_named) return listed == policy::Listed::included;
  return policy::look_up(by_policy, path) == policy::Listed::included;
}

// The path of the file; the dynamic linker has none for the program itself.
const char* path_of(const dl_phdr_info& info, std::array<char, 4096>& buffer) {
  if (info.dlpi_name != nullptr && info.dlpi_name[0] != '\0') return info.dlpi_name;
  const long got = raw_syscall(__NR_readlinkat, AT_FDCWD, "/proc/self/exe", buffer.data(),
                               static_cast<long>(buffer.size() - 1));
  buffer[failed(got) ? 0 : static_cast<std::size_t>(got)] = '\0';
  return buffer.data();
}

template <class Visit>
void for_each_note_of(const dl_phdr_info& info, Visit visit) {
  for (std::size_t index = 0; index < info.dlpi_phnum; ++index) {
    const ElfW(Phdr)& header = info.dlpi_phdr[index];
    if (header.p_type != PT_NOTE) continue;
    const auto* const bytes = reinterpret_cast<const std::byte*>(info.dlpi_addr + header.p_vaddr);
    policy::for_each_note({bytes, header.p_memsz}, header.p_align, visit);
  }
}

int collect(dl_phdr_info* info, std::size_t size, void* data) {
  (void)size;
  static std::array<char, 4096> buffer;  // too large for a thread's stack; the caller is alone
  auto& segments = *static_cast<Segments*>(data);
  const State& state = *segments.state;
  const policy::Options& options = state.options;
  const policy::Options& by_policy = state.policy_options;
  const char* const path = path_of(*info, buffer);
  if (is_named(options.skip, by_policy.skip, path)) return 0;
  const bool data_changes = is_named(options.changing, by_policy.changing, path);
  bool marked = false;
  for_each_note_of(*info, [&](const policy::ElfNote& note) {
    marked = marked || policy::asks_to_be_sealed(note);
    const auto address = reinterpret_cast<std::uint64_t>(note.value.data());
    if (const Range memory = policy::mutable_memory(note, address); !memory.empty()) {
      segments.too_many =
          segments.too_many || !segments.changing.push_back(pages_of(state, memory.start, memory.size()));
    }
  });
  if (options.auto_seal == policy::AutoSeal::marked && !marked) return 0;
  for (std::size_t index = 0; index < info->dlpi_phnum; ++index) {
    const ElfW(Phdr)& header = info->dlpi_phdr[index];
    if (header.p_type != PT_LOAD) continue;
    const Range pages = pages_of(state, info->dlpi_addr + header.p_vaddr, header.p_memsz);
    segments.too_many = segments.too_many || !segments.loaded.push_back(pages);
    if (data_changes && (header.p_flags & PF_W) != 0)
      segments.too_many = segments.too_many || !segments.changing.push_back(pages);
  }
  return 0;
}

bool is_of_kernel(const policy::Vma& vma) {
  return vma.name == "[vdso]" || vma.name.starts_with("[vvar");
}

}  // namespace

long find_constant_segments(const State& state, Pieces& pieces) {
  static Segments segments;  // too large for a thread's stack; the caller is alone
  segments.state = &state;
  segments.loaded.clear();
  segments.changing.clear();
  segments.too_many = false;
  dl_iterate_phdr(collect, &segments);
  if (segments.too_many) return -ENOMEM;
  const policy::SegmentChoice choice{segments.loaded.view(), segments.changing.view(),
                                     state.options.auto_seal == policy::AutoSeal::data};
  bool fits = true;
  const auto add = [&](const Range& part, bool keeps_contents) {
    fits = fits && policy::add_seal(pieces, {part, keeps_contents, 0}, Pieces::capacity());
  };
  const long read = read_maps("/proc/self/maps", [&](const policy::Vma& vma) {
    policy::select_segments(vma, choice, add);
    if (state.options.vdso && is_of_kernel(vma)) add(vma.range, true);
    return true;
  });
  if (read != 0) return read;
  return fits ? 0 : -ENOMEM;
}

}  // namespace libmseal::shim
