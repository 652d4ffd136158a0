#include "shim/preload/supervisor/supervisor_link.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <tuple>
#include <utility>

#include "shim/common/child.h"
#include "shim/common/descriptor_message.h"
#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"
#include "shim/preload/process/own_proc.h"
#include "shim/preload/process/parent.h"
#include "shim/preload/state/program_filters.h"
#include "shim/preload/supervisor/supervisor_parent.h"
#include "shim/preload/supervisor/table_reader.h"

namespace libmseal::shim {
namespace {

using policy::kHandoverSocket;

constexpr int kAnswerTimeout = 10'000;  // ms: a machine that swaps is slow, not broken

[[noreturn]] void cannot_run(long socket, long error) {
  policy::Ready failure;
  failure.trouble = policy::Trouble::not_run;
  failure.error = static_cast<std::int32_t>(-error);
  (void)raw_syscall(__NR_sendto, socket, &failure, sizeof failure, MSG_NOSIGNAL, 0, 0);
  end_process(0);
}

// Runs in the new process, a fork of the program: only system calls are allowed.
[[noreturn]] void become_supervisor(const State& state, int socket) {
  // A copy, because `socket` may be kHandoverSocket itself, and dup3 then fails.
  const long safe_socket = raw_syscall(__NR_fcntl, socket, F_DUPFD, kHandoverSocket + 1);
  if (failed(safe_socket)) cannot_run(socket, safe_socket);
  const long null = raw_syscall(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR);
  // Standard error stays open: the supervisor's log may go there.
  for (int standard = 0; standard <= 1; ++standard) {
    if (failed(null)) {
      (void)raw_syscall(__NR_close, standard);
    } else {
      (void)raw_syscall(__NR_dup3, null, standard, 0);
    }
  }
  (void)raw_syscall(__NR_dup3, safe_socket, kHandoverSocket, 0);
  // close_range may be refused. Then descriptors without O_CLOEXEC stay open in the supervisor.
  (void)raw_syscall(__NR_close_range, kHandoverSocket + 1, ~0U, 0);
  std::uint64_t no_signals = 0;
  (void)raw_syscall(__NR_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, sizeof no_signals);
  std::array<const char*, std::tuple_size_v<decltype(state.policies)> + 2> arguments{"mseal-supervisor"};
  for (std::size_t level = 0; level < state.policy_count; ++level)
    arguments[level + 1] = state.policies[level].data();
  // The supervisor may not be allowed to read the program's path.
  std::array<char, 4096> program{"MSEAL_PROGRAM="};
  constexpr std::size_t kKey = std::string_view("MSEAL_PROGRAM=").size();
  const bool named = read_program_path(std::span(program).subspan(kKey));
  const char* const environment[] = {named ? program.data() : nullptr, nullptr};
  const long error = raw_syscall(__NR_execve, state.supervisor_path.data(), arguments.data(), environment);
  cannot_run(kHandoverSocket, error);
}

// Receives a message, and a descriptor if the sender attached one (-1 otherwise). Bytes received, or -errno.
long receive(int socket, void* data, std::size_t size, int& descriptor) {
  descriptor = -1;
  pollfd wanted{socket, POLLIN, 0};
  timespec timeout{kAnswerTimeout / 1000, 0};
  long ready = 0;
  do {
    ready = raw_syscall(__NR_ppoll, &wanted, 1, &timeout, nullptr, 0);
  } while (ready == -EINTR);
  if (ready < 0) return ready;
  if (ready == 0) return -ETIMEDOUT;
  iovec part{data, size};
  DescriptorMessage message({&part, 1});
  const long got = raw_syscall(__NR_recvmsg, socket, message.to_receive(), MSG_CMSG_CLOEXEC);
  if (got <= 0) return got == 0 ? -EPIPE : got;
  descriptor = message.descriptor();
  return got;
}

// Moves the descriptor away from 0, 1 and 2, which the program may have closed: messages go to 2.
long move_up(int& descriptor) {
  if (descriptor >= kHandoverSocket) return 0;
  const long higher = raw_syscall(__NR_fcntl, descriptor, F_DUPFD_CLOEXEC, kHandoverSocket);
  if (failed(higher)) return higher;
  (void)raw_syscall(__NR_close, std::exchange(descriptor, static_cast<int>(higher)));
  return 0;
}

}  // namespace

SupervisorLaunch::~SupervisorLaunch() {
  stop();
}

void SupervisorLaunch::stop() {
  if (socket_ >= 0) (void)raw_syscall(__NR_close, socket_);  // a supervisor that still waits then exits
  if (table_ != nullptr) unmap_table(table_);
  socket_ = -1;
  failure_ = {};
  table_ = nullptr;
}

Reason SupervisorLaunch::start(const State& state) {
  if (socket_ >= 0) return failure_;
  const long error = create_process(state);
  if (error == -EXDEV) {
    return {
        "the program's next process is the first of another pid namespace (unshare, setns), so the library "
        "can't create one: create the namespace with unshare --fork"};
  }
  if (error != 0) return {"can't create a process for the supervisor", error};
  return failure_ = wait_until_ready(state);
}

// 0 or -errno.
long SupervisorLaunch::create_process(const State& state) {
  if (program_filters_kill(Purpose::launching)) return -ECANCELED;
  std::array<int, 2> ends{};
  const long paired = raw_syscall(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  if (failed(paired)) return paired;
  for (int& end : ends) {
    const long moved = move_up(end);
    if (!failed(moved)) continue;
    for (const int each : ends) (void)raw_syscall(__NR_close, each);
    return moved;
  }
  socket_ = ends[0];
  // A double fork, so that the supervisor is not a child of the program. The first child has no exit signal,
  // so there is no SIGCHLD and wait() does not return it.
  const bool would_adopt_it = raw_syscall(__NR_getpid) == 1 || is_subreaper();
  const long child = create_child(0);
  if (child == 0) {
    (void)raw_syscall(__NR_setsid);
    const long grandchild = raw_syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (grandchild == 0) become_supervisor(state, ends[1]);
    if (failed(grandchild)) cannot_run(ends[1], grandchild);
    if (would_adopt_it) stay_parent_of(grandchild);
    end_process(0);
  }
  (void)raw_syscall(__NR_close, ends[1]);
  if (failed(child)) {
    stop();
    return child;
  }
  if (!would_adopt_it) (void)reap(child);
  return 0;
}

const void* SupervisorLaunch::keep_table() {
  return std::exchange(table_, nullptr);
}

Reason SupervisorLaunch::wait_until_ready(const State& state) {
  policy::Ready ready;
  int table = -1;
  const long got = receive(socket_, &ready, sizeof ready, table);
  if (got < 0) return {"the supervisor did not become ready", got};
  const bool speaks = got == static_cast<long>(sizeof ready) && ready.magic == policy::kControlMagic &&
                      ready.version == policy::kLayoutVersion;
  if (!speaks) {
    if (table >= 0) (void)raw_syscall(__NR_close, table);
    return {"the supervisor is of another version", -EPROTO};
  }
  const long mapped = table < 0 ? -EMFILE : map_table(table, table_);  // EMFILE: no descriptor is left
  const long error = -static_cast<long>(ready.error);
  switch (ready.trouble) {
    case policy::Trouble::not_run:
      return {"the supervisor could not be started", error, state.supervisor_path.data()};
    case policy::Trouble::no_table:
      return {"the supervisor has no memory for its table", error};
    case policy::Trouble::few_files:
      return {"the limit on open files is too low for the supervisor", error};
    case policy::Trouble::no_proc:
      return {"the supervisor needs a procfs at /proc", 0};
    case policy::Trouble::foreign_proc:
      return {"/proc belongs to another pid namespace: mount a procfs of this one", 0};
    case policy::Trouble::hidden_program:
      return {
          "the supervisor is not allowed to inspect this program: its file is not readable, or it is not "
          "dumpable",
          -EACCES};
    case policy::Trouble::refused_call:
      return {"a seccomp filter refuses ioctl(2) or poll(2), which the supervisor needs", error};
    case policy::Trouble::none:
      break;
  }
  if (table < 0) return {"the supervisor's table did not arrive", mapped};
  return mapped == 0 ? Reason{} : Reason{"the supervisor's table could not be mapped", mapped};
}

policy::Serving SupervisorLaunch::hand_over(int listener, std::span<const policy::Seal> seals,
                                            std::size_t filtered, std::span<const policy::Range> watched,
                                            const policy::Range& sealed_area, std::string_view options,
                                            const BeforeFilter& before) {
  policy::Start start;
  start.ran_before_filter = before.program_ran ? std::uint8_t{1} : std::uint8_t{0};
  start.has_own_memory = before.has_own_memory ? std::uint8_t{1} : std::uint8_t{0};
  start.may_be_subreaper = is_subreaper() ? std::uint8_t{1} : std::uint8_t{0};
  start.by_ptrace = listener < 0 ? std::uint8_t{1} : std::uint8_t{0};
  start.seals = static_cast<std::uint32_t>(seals.size());
  start.filtered = static_cast<std::uint32_t>(filtered);
  start.watched = static_cast<std::uint32_t>(watched.size());
  start.sealed_area = sealed_area;
  start.options = static_cast<std::uint32_t>(options.size());
  std::array<iovec, 4> parts{
      iovec{&start, sizeof start},
      iovec{const_cast<policy::Seal*>(seals.data()), seals.size_bytes()},
      iovec{const_cast<policy::Range*>(watched.data()), watched.size_bytes()},
      iovec{const_cast<char*>(options.data()), options.size()},
  };
  policy::Serving answer;
  DescriptorMessage message(parts);
  const long sent = raw_syscall(__NR_sendmsg, socket_, message.with(listener), MSG_NOSIGNAL);
  int none = -1;
  const long got = failed(sent) ? sent : receive(socket_, &answer, sizeof answer, none);
  if (got != static_cast<long>(sizeof answer))
    answer.result = static_cast<std::int32_t>(got < 0 ? got : -EPROTO);
  return answer;
}

long send_message(const policy::Control& message) {
  const policy::Arguments said = encode(message);
  const auto call = [&](long number, const policy::Arguments& a) -> long {
    const long answer = uninterrupted_syscall(number, a);
    policy::Range sealed_area;
    const bool is_descriptor = message.kind == policy::Control::Kind::join &&
                               (answer != 0 || !failed(read_sealed_area(answer, sealed_area)));
    return is_descriptor ? answer : policy::decode_answer(answer);
  };
  const long answer = program_filters_kill(Purpose::message) ? -EPERM : call(policy::kMsealNumber, said);
  const bool may_wrap = message.more.empty() && !g_state.earlier_filters.kill_wrapped_message &&
                        !program_filters_kill(Purpose::wrapped_message);
  if ((answer != -ENOSYS && answer != -EPERM) || !may_wrap) return answer;
  // Another filter may have answered.
  const long wrapped = call(__NR_mmap, policy::wrap_in_mmap(said));
  if (wrapped >= 0 || wrapped == -ENOSYS) return wrapped;  // ENOSYS: the supervisor is gone
  if (wrapped < -policy::kWrappedErrors) return wrapped + policy::kWrappedErrors;
  // The kernel or another filter has answered: there is no supervisor, or it can't be reached.
  return g_state.backend == policy::Backend::supervised ? -EPERM : answer;
}

long ask_to_join() {
  const long answer = send_message({policy::Control::Kind::join, {}});
  const auto place = policy::decode_table_place(answer);
  if (!place) return answer;
  // Not by ProcRoot::open, which follows no such link.
  const ProcRoot root;
  const ProcPath path = ProcPath(place->process, "fd/").append(place->descriptor);
  const long table =
      raw_syscall(__NR_openat, root.descriptor(), path.text(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (table == -EMFILE) return table;
  // In another pid namespace that is another process.
  policy::Range sealed_area;
  const bool is_table = !failed(table) && read_sealed_area(table, sealed_area) == 0;
  if (!failed(table) && !is_table) (void)raw_syscall(__NR_close, table);
  return is_table ? table : -EXDEV;
}

namespace {

// Sends `count` items. put(message, done, most) puts at least one and at most `most` of those that are not
// done into the message, and returns how many. Returns -errno, or the largest answer.
template <class Put>
long send_in_portions(std::size_t count, Put put) {
  long result = 0;
  std::size_t most = 1 + decltype(policy::Control::more)::capacity();
  for (std::size_t done = 0; done < count;) {
    policy::Control message;
    const std::size_t sent = put(message, done, most);
    const long answer = send_message(message);
    if (sent > 1 && (answer == -ENOSYS || answer == -EPERM)) {
      most = 1;  // another filter may have answered; a message by mmap carries only one range
    } else if (answer < 0) {
      return answer;
    } else {
      result = std::max(result, answer);
      done += sent;
    }
  }
  return result;
}

}  // namespace

long send_ranges(std::span<const policy::Range> ranges) {
  return send_in_portions(ranges.size(), [&](policy::Control& message, std::size_t done, std::size_t most) {
    const auto rest = ranges.subspan(done);
    message.kind = policy::Control::Kind::range;
    return policy::put_ranges(message, rest.first(std::min(most, rest.size())));
  });
}

long send_seals(std::span<const policy::Seal> seals, std::size_t filtered, bool is_alone) {
  using Kind = policy::Control::Kind;
  return send_in_portions(seals.size(), [&](policy::Control& message, std::size_t done, std::size_t most) {
    const auto rest = seals.subspan(done);
    const std::size_t by_filter = filtered - std::min(filtered, done);
    message.kind = by_filter != 0 ? Kind::add_filtered : Kind::add_supervised;
    message.seal = rest[0];
    message.is_alone = is_alone;
    // A message about seals of filters may end with one for the supervisor.
    const std::size_t together = std::min({rest.size(), most, by_filter != 0 ? by_filter + 1 : most});
    policy::FixedVector<policy::Range, 4> alike;
    for (const policy::Seal& seal : rest.first(together)) {
      if (!seal.same_attributes(rest[0]) || !alike.push_back(seal.range)) break;
    }
    const std::size_t sent = policy::put_ranges(message, alike.view());
    message.last_is_supervised = by_filter != 0 && sent > by_filter;
    return sent;
  });
}

}  // namespace libmseal::shim
