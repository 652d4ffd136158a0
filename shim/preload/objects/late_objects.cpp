#include "shim/preload/objects/late_objects.h"

#include <cerrno>

#include "mseal/mseal.h"
#include "shim/preload/libc/next_function.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/messages/why_unsealed.h"
#include "shim/preload/objects/loaded_objects.h"
#include "shim/preload/sealing/sealing.h"
#include "shim/preload/state/lock.h"
#include "shim/preload/state/program_filters.h"

namespace libmseal::shim {
namespace {

void report_failure(long result) {
  static bool said = false;
  if (result == 0 || said) return;
  said = true;
  Message message;
  message << "an object that dlopen has loaded is not sealed";
  if (result != -EAGAIN) message << ": " << ErrorText{result};  // otherwise explain() has said why
}

SupervisorAnswer seal_as_supervisor_sees(State& state, const Selection& selection, ObjectsWork& work,
                                         bool& all_ready) {
  const bool is_seen =
      state.backend == policy::Backend::supervised && list_ready_objects(state, selection, work, all_ready);
  if (!is_seen) return {true, 0};
  return work.parts.empty() ? SupervisorAnswer{} : seal_object_parts(state, work.parts.view());
}

long seal_new_segments(State& state, ObjectsWork& work) {
  work.unsealed.clear();
  for (const policy::Seal& piece : work.pieces) {
    if (query(state, piece.range).types.has(policy::kWholeSeal)) continue;
    (void)work.unsealed.push_back({reinterpret_cast<void*>(piece.range.start), piece.range.size()});
  }
  return work.unsealed.empty() ? 0 : seal_all(state, work.unsealed.view());
}

// Objects that the dynamic linker is working on are left out, and `all_ready` is then false.
long seal_objects(State& state, const Selection& selection, ObjectsWork& work, bool& all_ready) {
  long result = 0;
  const auto seal_them = [&] {
    const SupervisorAnswer asked = seal_as_supervisor_sees(state, selection, work, all_ready);
    result = asked.result;
    if (asked.must_read_mappings) {
      if (program_filters_bar_self_inspection()) {
        result = explain(Why::program_filter_kills);
        return;
      }
      all_ready = find_ready_segments(state, selection, work);
      result = seal_new_segments(state, work);
    }
    if (result == 0) note_sealed_objects(state, selection, work);
  };
  // Hold the list's lock, so that another thread can't replace an object that was found here. Not for objects
  // that are never unloaded, because in a child that is forked meanwhile the lock stays locked.
  if (selection.late == policy::LateSeal::all) {
    with_objects_kept(seal_them);
  } else {
    seal_them();
  }
  return result;
}

}  // namespace

void seal_late_objects(State& state) {
  using policy::AutoSeal;
  const bool wanted =
      state.options.auto_seal != AutoSeal::off && state.options.late_seal != policy::LateSeal::off;
  if (!wanted || state.backend == policy::Backend::automatic || !may_ask_dynamic_linker()) return;
  const unsigned long long now = count_objects();
  if (now == state.objects_seen) return;
  const ObjectsTurn turn;
  if (!turn.mine()) return;
  if (program_filters_bar_sealing(state)) {
    (void)explain(Why::program_filter_kills);
    state.objects_seen = now;
    return;
  }
  bool all_ready = false;
  const Selection late{true, state.options.auto_seal, state.options.late_seal, true};
  turn.work().unreadable = false;
  report_failure(seal_objects(state, late, turn.work(), all_ready));
  // A sandbox of the program may allow neither messages nor /proc, and it may report each attempt.
  if (all_ready || turn.work().unreadable) state.objects_seen = now;
}

long seal_loaded_objects(State& state) {
  using policy::AutoSeal;
  if (const long error = start_backend_if_needed(state); error != 0) return error;
  // The path of the program is in /proc.
  if (program_filters_bar_sealing(state) || program_filters_kill(Purpose::reading))
    return explain(Why::program_filter_kills);
  const ObjectsTurn turn;
  if (!turn.mine()) return -EAGAIN;
  bool all_ready = false;
  const AutoSeal level = state.options.auto_seal == AutoSeal::data ? AutoSeal::data : AutoSeal::elf;
  const long result = seal_objects(state, {true, level, policy::LateSeal::all}, turn.work(), all_ready);
  return result != 0 ? result : all_ready ? 0 : -EAGAIN;
}

}  // namespace libmseal::shim

// ---- dlsym: libc's function looks at the address of its caller, so this jumps to it ----

extern "C" {

using Dlsym = void*(void*, const char*);

static constinit libmseal::shim::NextFunction<Dlsym> g_dlsym("dlsym");

// Before libc's dlsym has been found, no object can have been loaded by dlopen.
__attribute__((used, visibility("hidden"))) Dlsym* libmseal_before_dlsym() {
  libmseal::shim::seal_late_objects(libmseal::shim::g_state);
  Dlsym* const real = g_dlsym.get();
  return real != nullptr ? real : [](void*, const char*) -> void* { return nullptr; };
}
}

void libmseal::shim::find_dlsym() {
  (void)g_dlsym.get();
}

#if defined(__x86_64__)
asm(R"(
  .pushsection .text
  .globl dlsym
  .type dlsym, @function
dlsym:
  .cfi_startproc
  endbr64
  push %rdi
  .cfi_adjust_cfa_offset 8
  push %rsi
  .cfi_adjust_cfa_offset 8
  sub $8, %rsp
  .cfi_adjust_cfa_offset 8
  call libmseal_before_dlsym
  add $8, %rsp
  .cfi_adjust_cfa_offset -8
  pop %rsi
  .cfi_adjust_cfa_offset -8
  pop %rdi
  .cfi_adjust_cfa_offset -8
  jmp *%rax
  .cfi_endproc
  .size dlsym, . - dlsym
  .popsection
)");
#else
asm(R"(
  .pushsection .text
  .globl dlsym
  .type dlsym, %function
dlsym:
  .cfi_startproc
  stp x0, x1, [sp, -32]!
  .cfi_adjust_cfa_offset 32
  str x30, [sp, 16]
  .cfi_offset x30, -16
  bl libmseal_before_dlsym
  mov x16, x0
  ldr x30, [sp, 16]
  .cfi_restore x30
  ldp x0, x1, [sp], 32
  .cfi_adjust_cfa_offset -32
  br x16
  .cfi_endproc
  .size dlsym, . - dlsym
  .popsection
)");
#endif
