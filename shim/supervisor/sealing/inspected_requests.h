// The library's requests if the supervisor inspects the process and reads its mappings. One request takes
// several messages, and the process may have to install filters for it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <vector>

#include "policy/protocol/control.h"
#include "shim/supervisor/sealing/sealer.h"

namespace libmseal::supervisor {

class InspectedRequests {
 public:
  InspectedRequests(Proc& proc, Registry& registry, ThreadHolder& holder, Sealer& sealer)
      : proc_(proc), registry_(registry), holder_(holder), sealer_(sealer) {}

  // The answers to the messages of control.h, or -errno:
  //   ENOMEM  a page is not mapped        EINVAL  a range begins or ends inside a huge page
  //   E2BIG   too many mappings           ENOSPC  no room for more seals
  //   EAGAIN  another process shares this memory, or may share it; or a thread is in execve
  //   EBUSY   a thread does not leave a call that changes memory, or the range changes constantly
  //   ESTALE  no ranges were sent, or the reported filters were not asked for
  //   EUSERS  too many threads seal at this moment
  //   EACCES  a seal in the ranges accepts no more types
  std::int64_t add_range(const Caller& caller, const policy::Control& message);
  std::int64_t seal(const Caller& caller, const policy::Control& message);
  std::int64_t filters_are_in(const Caller& caller, const policy::Control& message);

  // Forgets the thread's request: it has ended. Until then its messages may be repeated.
  void forget(const Caller& caller);
  // The process has called execve: the requests of its threads are void.
  void drop_jobs_of(const Process& process);

  // Resumes threads. To be called every few milliseconds while it returns true, and after each answer, so
  // that the thread that waits for the answer runs first.
  bool tidy() noexcept;
  [[nodiscard]] bool holds_threads() const;
  [[nodiscard]] bool has_stopped_to_let_go() const { return holder_.has_stopped_to_let_go(); }

 private:
  struct Wanted {
    policy::Range range;
    bool object_part = false;
    bool writable_too = false;
  };
  // A thread's request and its state.
  struct Job : SealJob {
    using SealJob::SealJob;

    Process process;
    std::vector<Wanted> wanted;
    int attempts = 0;
    bool asked_for_break = false;  // the threads have been stopped since
    bool is_alone = false;         // the library looks for sharers itself
    std::chrono::steady_clock::time_point last_heard;
  };

  Job* job_of(const Caller& caller);
  void forget_ended();
  long choose_ranges(const Caller& caller, Job& job) const;
  shim::Sharing sharing_of(const Caller& caller, const Job& job);
  std::int64_t start(const Caller& caller, Job& job);
  // The threads are stopped, and nothing else prevents the seal. `alone`: filters may enforce it.
  std::int64_t seal_mappings(const Caller& caller, Job& job, bool alone);
  std::int64_t read_mappings_again(const Caller& caller, Job& job);
  std::int64_t hand_out(const Caller& caller, const Job& job, policy::NextStep step);

  Proc& proc_;
  Registry& registry_;
  ThreadHolder& holder_;
  Sealer& sealer_;
  std::map<pid_t, Job> jobs_;
  std::chrono::steady_clock::time_point looked_for_ended_{};
};

}  // namespace libmseal::supervisor
