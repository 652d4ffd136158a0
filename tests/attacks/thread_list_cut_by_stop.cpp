// A madvise that began before the seal waits, in the last thread of a long list. Another process stops the
// supervisor again and again, and looks how far it has read that list. When it is in the midst of it, the
// threads between end: the rest of the list is cut off.
#include <sys/prctl.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>

#include "tests/attacks/stalled_discard.h"
#include "tests/attacks/thread_crowd.h"
#include "tests/support/supervisor.h"

using namespace libmseal::tests;

namespace {

constexpr int kCrowd = 1500;

struct Shared {
  std::atomic<bool> begins{false};   // the supervisor is to be stopped
  std::atomic<bool> stopped{false};  // now mseal may be called
  std::atomic<bool> ends{false};     // so may the threads end
  std::atomic<bool> ended{false};
  std::atomic<bool> sealed{false};  // mseal has returned
};
Shared* g_shared = nullptr;

// System calls of which the supervisor is not notified, because it is stopped meanwhile.
template <std::size_t Size>
long read_file(const std::string& path, char (&text)[Size]) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const long got = file < 0 ? 0 : ::read(file, text, Size - 1);
  if (file >= 0) ::close(file);
  text[got > 0 ? got : 0] = 0;
  return got;
}

// How many threads of this process the supervisor has read the names of; 0 if it does not read them.
long threads_read(const std::string& supervisor, const std::string& list) {
  constexpr int kMostFiles = 64;
  for (int file = 3; file < kMostFiles; ++file) {
    char target[256] = {};
    if (::readlink((supervisor + "/fd/" + std::to_string(file)).c_str(), target, sizeof target - 1) <= 0)
      continue;
    if (list != target) continue;
    char text[256] = {};
    (void)read_file(supervisor + "/fdinfo/" + std::to_string(file), text);
    return std::atol(text + std::strlen("pos:"));
  }
  return 0;
}

void wait_until_stopped(pid_t process) {
  ::kill(process, SIGSTOP);
  const std::string stat = "/proc/" + std::to_string(process) + "/stat";
  for (int looks = 0; looks < 10'000; ++looks) {
    char text[256] = {};
    if (read_file(stat, text) <= 0) return;
    const char* const state = std::strrchr(text, ')');
    if (state != nullptr && state[2] == 'T') return;
  }
}

// Runs in a process of its own.
[[noreturn]] void stop_in_the_midst(pid_t supervisor, const std::string& list) {
  constexpr long kNap = 20'000;  // ns, in which the supervisor runs
  ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  (void)::setpriority(PRIO_PROCESS, 0, -20);  // to be on time
  const std::string files = "/proc/" + std::to_string(supervisor);
  const pid_t parent = ::getppid();
  while (!g_shared->begins) {
    if (::getppid() != parent) ::_exit(0);  // it can't try
    ::usleep(100);
  }
  wait_until_stopped(supervisor);
  g_shared->stopped = true;
  while (!g_shared->sealed && !g_shared->ends) {
    ::kill(supervisor, SIGCONT);
    libmseal::shim::nap(kNap);
    wait_until_stopped(supervisor);
    const long read = threads_read(files, list);
    g_shared->ends = read > 10 && read < kCrowd;
  }
  for (int moments = 0; g_shared->ends && !g_shared->ended && moments < 5000; ++moments) ::usleep(1000);
  ::usleep(2000);
  ::kill(supervisor, SIGCONT);
  ::_exit(0);
}

int attempt(pid_t supervisor) {
  (void)Victim::page();  // what the first seal looks for has been looked for
  const std::string list = "/proc/" + std::to_string(::getpid()) + "/task";
  const pid_t stopper = ::fork();
  if (stopper == 0) stop_in_the_midst(supervisor, list);
  Crowd* crowd = nullptr;
  std::thread ender([&] {
    (void)number_in_status("Threads:");  // it has got its memory: the supervisor may be notified of that
    while (!g_shared->sealed && !g_shared->ends) ::usleep(500);
    constexpr long kOthers = 3;
    crowd->end(kOthers);
    g_shared->ended = true;
    while (!g_shared->sealed) ::usleep(50'000);  // where nobody needs to stop it
  });
  Crowd many(kCrowd);
  crowd = &many;
  const auto seal_meanwhile = [](char* at, std::size_t size) {
    g_shared->begins = true;
    while (!g_shared->stopped) ::usleep(100);
    const long answer = seal(at, size);
    g_shared->sealed = true;
    return answer;
  };
  constexpr std::uint64_t kSupervised = 0x3000'0000;  // no filter is installed, so the list is read only once
  const int outcome = StalledDiscard(discard_by_madvise, kSupervised).end_after(seal_meanwhile);
  ender.join();
  (void)outcome_of(stopper);
  return outcome;
}

}  // namespace

int main(int, char** arguments) {
  (void)Victim::page();  // the backend has started
  const pid_t supervisor = supervisor_of(arguments[1]);
  if (supervisor == 0) return discard_stalled(discard_by_madvise);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  int outcome = kNothingSealed;
  while (outcome == kNothingSealed && std::chrono::steady_clock::now() < end) {
    g_shared = new (map_at(0, kPage, MAP_SHARED)) Shared;
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) leave(attempt(supervisor));
    outcome = outcome_of(child);
  }
  return outcome;
}
