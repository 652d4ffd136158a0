// The library's start, before the program's constructors and after the dynamic linker has protected RELRO.
#include <link.h>
#include <sys/auxv.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "policy/parsers/text.h"
#include "shim/common/line_reader.h"
#include "shim/common/machine.h"
#include "shim/preload/filters/hardening.h"
#include "shim/preload/libc/next_function.h"
#include "shim/preload/memory/heap.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/messages/standard_error.h"
#include "shim/preload/objects/late_objects.h"
#include "shim/preload/objects/loaded_objects.h"
#include "shim/preload/process/earlier_filters.h"
#include "shim/preload/process/parent.h"
#include "shim/preload/process/pid_namespace.h"
#include "shim/preload/process/printed_notices.h"
#include "shim/preload/read_options.h"
#include "shim/preload/sealing/start.h"
#include "shim/preload/start_program.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/state/state.h"
#include "shim/preload/supervisor/supervisor_link.h"

namespace libmseal::shim {

constinit State g_state;

namespace {

bool is_own_object(const dl_phdr_info& object) {
  const auto own = reinterpret_cast<std::uint64_t>(&is_own_object);
  return std::ranges::any_of(headers_of(object), [&](const auto& header) {
    const std::uint64_t start = object.dlpi_addr + header.p_vaddr;
    return header.p_type == PT_LOAD && start <= own && own < start + header.p_memsz;
  });
}

// The path of this library in the dynamic linker's list; empty if not known.
const char* library_path() {
  const char* path = "";
  const auto visit = [](dl_phdr_info* object, std::size_t, void* data) {
    if (!is_own_object(*object)) return 0;
    if (object->dlpi_name != nullptr) *static_cast<const char**>(data) = object->dlpi_name;
    return 1;
  };
  dl_iterate_phdr(visit, &path);
  return path;
}

// Whether LD_PRELOAD contains a file whose name begins with `name`. In programs that gain privileges the
// dynamic linker ignores that variable, and so does this.
bool preloads(std::string_view name) {
  const char* const preload = secure_getenv("LD_PRELOAD");
  return preload != nullptr && std::string_view(preload).find(name) != std::string_view::npos;
}

// The same for /etc/ld.so.preload.
bool system_preloads(std::string_view name) {
  bool found = false;
  (void)read_lines("/etc/ld.so.preload", [&](std::string_view line) {
    found = line.substr(0, line.find('#')).find(name) != std::string_view::npos;
    return !found;
  });
  return found;
}

// Seals the loaded objects before the program starts.
void start_sealed(State& state, SupervisorLaunch& launch, Job& job) {
  const ObjectsTurn turn;  // free, because there is no other thread yet
  state.objects_seen = count_objects();
  ObjectPieces& objects = turn.work().pieces;
  if (const long error = find_constant_segments(state, turn.work()); error != 0) {
    const bool required = state.options.require != policy::Backend::automatic;
    if (required || first_in_tree(state, Notice::unsealed_objects, 0, error)) {
      Message() << "the loaded objects are not sealed: /proc/thread-self/maps, " << ErrorText{error}
                << (required ? "; the program is not started" : "");
    }
    objects.clear();
    if (required) end_program();
  }
  // Does nothing in a program that is merely linked if no object is marked.
  const bool nothing_asked = state.options.auto_seal == policy::AutoSeal::marked && objects.empty();
  if (nothing_asked) return;
  policy::Range refused_breaks;
  if (find_refused_breaks(state.machine, objects.view(), present_break(state.machine), refused_breaks) != 0)
    refused_breaks = {1, ~0ULL};  // the position of the heap is not known
  start_backend(state, {objects.view(), refused_breaks, turn.work().has_aio_ring, turn.work().has_io_uring},
                launch, job);
  if (!objects.empty() && !state.objects_are_unsealed)
    note_sealed_objects(state, all_objects(state), turn.work());
}

// A program in which the system calls of the library would be killed. No policy file is read.
void report_unsealed_start(State& state) {
  const char* const text = secure_getenv("MSEAL_OPTIONS");
  if (text != nullptr && std::strlen(text) < kOptionTextBytes) {
    std::strcpy(state.texts->environment.data(), text);
    policy::parse_options(state.texts->environment.data(), state.options);
  }
  constexpr std::string_view kWhy =
      "an inherited seccomp filter kills processes that make system calls of the library";
  const policy::Options& options = state.options;
  if (const policy::BindingOption one = binding_option(options); !one.key.empty())
    refuse_to_start(one.key, one.value, kWhy);
  const bool wanted =
      options.auto_seal != policy::AutoSeal::off && options.auto_seal != policy::AutoSeal::marked;
  if (wanted) Message() << "nothing is sealed: " << kWhy << "; let the filter answer with an error";
}

enum class Progress : std::uint8_t { not_begun, under_way, done };
constinit std::atomic<Progress> g_progress = Progress::not_begun;

void start(State& state) {
  state.machine = this_machine();
  look_for_program_filters();
  note_standard_error();
  WorkingMemory& memory = map_working_memory();
  state.local_seals = &memory.local_seals;
  state.keyed_seals = &memory.keyed_seals;
  state.texts = &memory.texts;
  prepare_lock(memory);
  find_exec_functions();
  find_dlsym();
  state.precedes_libc = find_next_function("munmap") != nullptr;
  state.library_path = library_path();
  const std::string_view name = policy::last_component(state.library_path);
  const bool preloaded = preloads(name) || (!name.empty() && system_preloads(name));
  // Merely linked, the library seals nothing unless the program asks.
  state.options.auto_seal = preloaded ? policy::AutoSeal::elf : policy::AutoSeal::marked;
  if (program_filters_bar_start()) return report_unsealed_start(state);
  if (preloads("/vgpreload_core")) {
    state.barred = "valgrind has no seccomp";
  } else {
    look_at_earlier_filters(state);
  }
  SupervisorLaunch launch;
  read_options(state, launch);
  note_pid_namespace();
  const ExclusiveSection section;
  // scope=process does not apply to a program that gains privileges.
  const bool idle = state.options.one_process && getauxval(AT_SECURE) == 0 && parent_is_under_library(state);
  if (idle) {
    start_without_sealing(state, section.job());
  } else if (state.options.auto_seal != policy::AutoSeal::off) {
    start_sealed(state, launch, section.job());
  }
  if (!state.options.audit)
    harden(state, section.job().draft);  // after the supervisor was started, so it does not apply to that
}

__attribute__((constructor)) void construct() {
  (void)started();
}

}  // namespace

State& started() {
  if (g_progress.load(std::memory_order_acquire) == Progress::done) [[likely]]
    return g_state;
  Progress expected = Progress::not_begun;
  if (g_progress.compare_exchange_strong(expected, Progress::under_way, std::memory_order_acquire)) {
    start(g_state);
    g_progress.store(Progress::done, std::memory_order_release);
  }
  while (g_progress.load(std::memory_order_acquire) != Progress::done) (void)raw_syscall(__NR_sched_yield);
  return g_state;
}

}  // namespace libmseal::shim
