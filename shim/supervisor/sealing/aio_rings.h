// io_setup(2) and io_destroy(2), which unmap a ring: io_setup if it fails, io_destroy always.
//
// The kernel unmaps the ring's first size at the ring's present place (fs/aio.c, kill_ioctx), and another
// thread may move the ring meanwhile (aio_ring_mremap). A ring moves only by mremap with MREMAP_FIXED, for it
// can't grow (VM_DONTEXPAND), and each such call is notified. So no thread may be in an mremap when the call
// begins, and those that come later wait until it is over. Then io_setup unmaps only its own ring, and
// io_destroy the one at the address that it names (lookup_ioctx). Only the kernel knows the first size of a
// ring, so each is treated as large as the largest that a process of the tree has asked for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <list>

#include "policy/rules/mm_call.h"
#include "shim/supervisor/processes/proc.h"
#include "shim/supervisor/registry/registry.h"
#include "shim/supervisor/sealing/thread_holder.h"

namespace libmseal::supervisor {

class AioRings {
 public:
  // `early_process`: one that may have created rings of unknown size before its calls were notified, so none
  // may be destroyed in its memory. 0: there is none. `processors`: kernel_sizes.h.
  AioRings(Proc& proc, Registry& registry, ThreadHolder& holder, pid_t early_process,
           std::uint64_t processors);

  static bool is_about(const policy::MmCall& call) {
    return call.call == policy::Call::io_setup || call.call == policy::Call::io_destroy;
  }
  // To be called for every io_setup.
  void note_request(const policy::MmCall& io_setup);
  // Whether the call, of a process with seals, touches no seal if no ring is moved meanwhile.
  [[nodiscard]] bool is_harmless(const Caller& caller, const policy::MmCall& call) const;
  // Whether no other thread can move the ring: none is in an mremap, and nobody else has the memory. If so,
  // the call has to go on. `perhaps_later`: it is not known who has the memory. `never`: the threads may not
  // be stopped.
  enum class Begun : std::uint8_t { yes, later, perhaps_later, never };
  Begun begin(const Caller& caller);
  // The thread makes another call, so the previous one has ended. To be called for every memory call.
  void ended(pid_t task) {
    if (!calls_.empty()) end_calls_of(task);
  }
  // Whether the task's call has to wait, because such a call of another thread is under way in its memory.
  [[nodiscard]] bool must_wait(pid_t task, const policy::MmCall& call) const;

  // Resumes threads. To be called every few milliseconds while it returns true.
  bool tidy();
  [[nodiscard]] bool busy() const { return busy_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct CallUnderWay {
    CallUnderWay(ThreadHolder& holder, const Caller& caller) : task(caller.task), own(holder) {}

    pid_t task;
    Clock::time_point since = Clock::now();
    Clock::time_point next_look = since;
    HeldThreads own;  // the task, or nothing
  };

  [[nodiscard]] bool is_over(CallUnderWay& one);
  template <class Condition>
  void end_calls_if(const Condition& condition);
  void end_calls_of(pid_t task);

  Proc& proc_;
  Registry& registry_;
  ThreadHolder& holder_;
  bool has_early_process_;
  MmIdentity early_memory_;
  std::uint64_t processors_;
  std::uint64_t largest_ = 0;  // bytes
  std::list<CallUnderWay> calls_;
  bool busy_ = false;
};

}  // namespace libmseal::supervisor
