#include "shim/preload/loaded_objects.h"

#include <link.h>

#include <cerrno>

#include "policy/elf_segments.h"
#include "shim/common/maps_reader.h"

namespace libmseal::shim {
namespace {

using policy::Range;

struct Segments {
  std::uint64_t page_size = 0;
  policy::FixedVector<Range, 2048> loaded;
  bool complete = true;
};

int collect(dl_phdr_info* info, std::size_t size, void* data) {
  (void)size;
  auto& segments = *static_cast<Segments*>(data);
  for (std::size_t index = 0; index < info->dlpi_phnum; ++index) {
    const ElfW(Phdr)& header = info->dlpi_phdr[index];
    if (header.p_type != PT_LOAD) continue;
    const std::uint64_t start = info->dlpi_addr + header.p_vaddr;
    const Range pages{policy::round_down(start, segments.page_size),
                      policy::round_up(start + header.p_memsz, segments.page_size)};
    segments.complete = segments.complete && segments.loaded.push_back(pages);
  }
  return 0;
}

}  // namespace

long find_constant_segments(const State& state, Pieces& pieces) {
  static Segments segments;  // too large for a thread's stack; the caller is alone
  segments.page_size = state.machine.page_size;
  segments.loaded.clear();
  segments.complete = true;
  dl_iterate_phdr(collect, &segments);
  if (!segments.complete) return -ENOMEM;
  bool fits = true;
  const long read = read_maps("/proc/self/maps", [&](const policy::Vma& vma) {
    if (vma.inode == 0) return true;  // [vdso] is an object too, but the kernel's
    policy::select_segments(vma, segments.loaded.view(), [&](const Range& part) {
      fits = fits && policy::add_seal(pieces, {part, true, 0}, Pieces::capacity());
    });
    return true;
  });
  if (read != 0) return read;
  return fits ? 0 : -ENOMEM;
}

}  // namespace libmseal::shim
