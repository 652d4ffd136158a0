#include "shim/preload/objects/loaded_objects.h"

#include <fcntl.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "policy/configuration/pattern.h"
#include "policy/parsers/elf_note.h"
#include "policy/rules/seal_request.h"
#include "policy/rules/segment_choice.h"
#include "shim/common/maps_reader.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/process/own_proc.h"
#include "shim/preload/sealing/sealing.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {
namespace {

using policy::Range;
using policy::Seal;

// The path of the file; the dynamic linker has none for the program itself.
const char* path_of(const dl_phdr_info& info, std::array<char, 4096>& buffer) {
  if (info.dlpi_name != nullptr && info.dlpi_name[0] != '\0') return info.dlpi_name;
  if (buffer[0] != '\0') return buffer.data();  // read only once, at start
  (void)read_program_path(buffer);
  return buffer.data();
}

// Whether the lists name the object. MSEAL_OPTIONS overrides policy files.
bool is_named(std::string_view by_options, std::string_view by_policy, const dl_phdr_info& object,
              ObjectsWork& work) {
  if (by_options.empty() && by_policy.empty()) return false;  // nothing needs to be read
  const char* const path = path_of(object, work.program);
  const policy::Listed listed = policy::look_up(by_options, path);
  if (listed != policy::Listed::not_named) return listed == policy::Listed::included;
  return policy::look_up(by_policy, path) == policy::Listed::included;
}

template <class Visit>
void for_each_note_of(const dl_phdr_info& info, Visit visit) {
  for (const auto& header : headers_of(info)) {
    if (header.p_type != PT_NOTE) continue;
    const auto* const bytes = reinterpret_cast<const std::byte*>(info.dlpi_addr + header.p_vaddr);
    policy::for_each_note({bytes, header.p_memsz}, header.p_align, visit);
  }
}

Range pages_of(const dl_phdr_info& info, const auto& header, std::uint64_t page) {
  return policy::pages_of(info.dlpi_addr + header.p_vaddr, header.p_memsz, page);
}

Range first_segment_of(const dl_phdr_info& info, std::uint64_t page) {
  for (const auto& header : headers_of(info)) {
    if (header.p_type == PT_LOAD) return pages_of(info, header, page);
  }
  return {};
}

// Whether the dynamic section permits sealing the object while the program runs.
bool may_be_sealed_late(const dl_phdr_info& info, policy::LateSeal wanted) {
  bool stays = wanted == policy::LateSeal::all;
  for (const auto& header : headers_of(info)) {
    if (header.p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(info.dlpi_addr + header.p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      const bool patches_text =
          entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0);
      if (patches_text) return false;  // it is not known when that is done
      if (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NODELETE) != 0) stays = true;
    }
  }
  return stays;
}

// The pages that the dynamic linker protects once it has relocated the object; empty if there are none.
Range relro_of(const dl_phdr_info& info, std::uint64_t page) {
  for (const auto& header : headers_of(info)) {
    if (header.p_type != PT_GNU_RELRO) continue;
    const std::uint64_t start = info.dlpi_addr + header.p_vaddr;
    return {policy::round_down(start, page), policy::round_down(start + header.p_memsz, page)};
  }
  return {};
}

// Of all loaded objects, puts what is to be looked at into `work`.
class Collection {
 public:
  Collection(const State& state, const Selection& selection, ObjectsWork& work)
      : state_(state), selection_(selection), work_(work) {}

  void add(const dl_phdr_info& object) {
    const Range first_segment = first_segment_of(object, page_);
    if (is_left_out(object, first_segment)) return;
    const bool marked = read_notes(object);
    if (selection_.level == policy::AutoSeal::marked && !marked) return;
    const std::size_t first = work_.loaded.size();
    append_segments(object);
    const Range relro = relro_of(object, page_);
    const bool listed = work_.late.push_back({first_segment, relro, first, work_.loaded.size()});
    too_many_ = too_many_ || (selection_.while_running && !listed);
  }

  [[nodiscard]] bool too_many() const { return too_many_; }

 private:
  bool is_left_out(const dl_phdr_info& object, const Range& first_segment) const {
    const bool is_sealed = selection_.only_new &&
                           std::binary_search(work_.sealed.begin(), work_.sealed.end(), first_segment.start);
    return is_sealed || (selection_.while_running && !may_be_sealed_late(object, selection_.late)) ||
           is_named(state_.options.skip, state_.policy_options.skip, object, work_);
  }

  // Appends the memory that its notes call mutable. True if they ask for sealing.
  bool read_notes(const dl_phdr_info& object) {
    bool marked = false;
    for_each_note_of(object, [&](const policy::ElfNote& note) {
      marked = marked || policy::asks_to_be_sealed(note);
      const auto address = reinterpret_cast<std::uint64_t>(note.value.data());
      if (const Range memory = policy::mutable_memory(note, address); !memory.empty())
        append(work_.mutable_data, policy::pages_of(memory.start, memory.size(), page_));
    });
    return marked;
  }

  void append_segments(const dl_phdr_info& object) {
    const bool data_changes =
        is_named(state_.options.mutable_data, state_.policy_options.mutable_data, object, work_);
    for (const auto& header : headers_of(object)) {
      if (header.p_type != PT_LOAD) continue;
      const Range pages = pages_of(object, header, page_);
      append(work_.loaded, pages);
      if (data_changes && (header.p_flags & PF_W) != 0) append(work_.mutable_data, pages);
    }
  }

  void append(auto& list, const Range& range) { too_many_ = too_many_ || !list.push_back(range); }

  const State& state_;
  const Selection& selection_;
  ObjectsWork& work_;
  const std::uint64_t page_ = state_.machine.page_size;
  bool too_many_ = false;
};

bool is_of_kernel(const policy::Vma& vma) {
  return vma.name == "[vdso]" || vma.name.starts_with("[vvar");
}

// 0, or -ENOMEM.
long find_objects(const State& state, const Selection& selection, ObjectsWork& work) {
  work.loaded.clear();
  work.mutable_data.clear();
  work.late.clear();
  Collection collection(state, selection, work);
  const auto add = [](dl_phdr_info* object, std::size_t, void* to) {
    static_cast<Collection*>(to)->add(*object);
    return 0;
  };
  dl_iterate_phdr(add, &collection);
  if (!collection.too_many()) return 0;
  work.late.clear();
  return -ENOMEM;
}

// Puts the parts of work.loaded that are to be sealed into work.pieces.
long find_pieces(const State& state, policy::AutoSeal level, bool with_kernels, ObjectsWork& work) {
  work.pieces.clear();
  const policy::SegmentChoice choice{work.loaded.view(), work.mutable_data.view(),
                                     level == policy::AutoSeal::data};
  bool fits = true;
  const auto add = [&](const policy::Vma& vma, const Range& part, bool discard_protected) {
    Seal seal = policy::seal_of(vma, part, state.options.discard);
    seal.discard_protected = discard_protected;
    fits = fits && policy::add_seal(work.pieces, seal, ObjectPieces::capacity());
  };
  const long read = read_maps(open_own("maps"), [&](const policy::Vma& vma) {
    policy::select_segments(vma, choice, [&](const Range& part, bool kept) { add(vma, part, kept); });
    if (with_kernels && is_of_kernel(vma)) add(vma, vma.range, true);
    work.has_aio_ring = work.has_aio_ring || vma.name.starts_with("/[aio]");
    work.has_io_uring = work.has_io_uring || vma.name == "anon_inode:[io_uring]";
    return true;
  });
  if (read != 0) return read;
  return fits ? 0 : -ENOMEM;
}

// Removes the segments of objects that are not ready. True if all are ready.
bool drop_unready(ObjectsWork& work) {
  bool all_ready = true;
  const long read = read_maps(open_own("maps"), [&](const policy::Vma& vma) {
    for (LateObject& object : work.late) {
      if (vma.writable && vma.range.touches(object.relro)) {
        object.unready = true;
        all_ready = false;
      }
    }
    return true;
  });
  work.unreadable = read == -EPERM || read == -EACCES || read == -ENOSYS;  // by a sandbox
  if (read != 0) all_ready = false;
  std::size_t kept = 0;
  for (const LateObject& object : work.late) {
    for (std::size_t index = object.first; index < object.end; ++index) {
      if (read == 0 && !object.unready) work.loaded[kept++] = work.loaded[index];
    }
  }
  if (read != 0) work.late.clear();
  work.loaded.truncate(kept);
  return all_ready;
}

enum class Answer : std::uint8_t { no, yes, unknown };
Answer has_writable(const Range& range) {
  const long answer = send_message({policy::Control::Kind::is_writable, {range}});
  return failed(answer) ? Answer::unknown : answer == 0 ? Answer::no : Answer::yes;
}

int read_counter(dl_phdr_info* info, std::size_t size, void* data) {
  (void)size;
  *static_cast<unsigned long long*>(data) = info->dlpi_adds;
  return 1;  // the count is the same in every object
}

}  // namespace

long find_constant_segments(const State& state, ObjectsWork& work) {
  const Selection all = all_objects(state);
  if (const long error = find_objects(state, all, work); error != 0) return error;
  return find_pieces(state, all.level, state.options.vdso, work);
}

Selection all_objects(const State& state) {
  return {false, state.options.auto_seal, policy::LateSeal::all};
}

void note_sealed_objects(const State& state, const Selection& selection, ObjectsWork& work) {
  // Without enforcement the objects may still be unloaded.
  if (state.backend == policy::Backend::libc || state.options.audit) return;
  const bool may_go = selection.while_running && selection.late == policy::LateSeal::all;
  for (const LateObject& object : work.late) {
    const std::uint64_t start = object.first_segment.start;
    auto* const at = std::lower_bound(work.sealed.begin(), work.sealed.end(), start);
    const bool noted = at != work.sealed.end() && *at == start;
    if (object.unready || noted || object.first_segment.empty() || work.sealed.full()) continue;
    // Only a seal keeps an object that the dynamic linker may unload.
    if (may_go && query(state, object.first_segment).coverage != policy::Coverage::fully) continue;
    work.sealed.insert(at, start);
  }
}

unsigned long long count_objects() {
  unsigned long long adds = 0;
  dl_iterate_phdr(read_counter, &adds);
  return adds;
}

bool list_ready_objects(const State& state, const Selection& selection, ObjectsWork& work, bool& all_ready) {
  work.parts.clear();
  all_ready = false;
  if (find_objects(state, selection, work) != 0) return true;
  all_ready = true;
  const bool data = selection.level == policy::AutoSeal::data;
  for (LateObject& object : work.late) {
    const auto append = [&](const Range& range, bool writable_too) {
      if (!range.empty()) object.unready = !work.parts.push_back({range, writable_too}) || object.unready;
    };
    const Answer writable = object.relro.empty() ? Answer::no : has_writable(object.relro);
    if (writable == Answer::unknown) return false;
    object.unready = writable == Answer::yes;
    for (std::size_t index = object.first; index < object.end && !object.unready; ++index) {
      append(work.loaded[index], false);
      if (!data) continue;
      (void)policy::for_each_gap(work.loaded[index], work.mutable_data, [&](const Range& gap) {
        append(gap, true);
        return true;
      });
    }
    all_ready = all_ready && !object.unready;
  }
  return true;
}

bool find_ready_segments(const State& state, const Selection& selection, ObjectsWork& work) {
  work.pieces.clear();
  if (find_objects(state, selection, work) != 0) return false;
  if (work.late.empty()) return true;
  const bool all_ready = drop_unready(work);
  if (find_pieces(state, selection.level, false, work) != 0) {
    work.pieces.clear();
    work.late.clear();
    return false;
  }
  return all_ready;
}

}  // namespace libmseal::shim
