// A madvise that began before the seal waits, in the last thread of a long list. While mseal waits for a
// thread of which it has read the name, those that come next end: the rest of the list is cut off. mseal
// reads the list twice, before it installs a filter and afterwards.
#include <functional>

#include "tests/attacks/stalled_discard.h"
#include "tests/attacks/thread_crowd.h"

using namespace libmseal::tests;

namespace {

// A thread that makes a call when it is told so, which waits until it is told to end.
class Stalled {
 public:
  void begin() {
    begins_ = true;
    begins_.notify_all();
    pollfd heard{discards_, POLLIN, 0};
    if (::poll(&heard, 1, 5000) != 1) cannot_try("a call that waits");
  }
  // mseal waits for it.
  [[nodiscard]] bool is_traced() const { return number_in_status("TracerPid:", id_) != 0; }
  void end() {
    uffd_msg message{};
    if (::read(discards_, &message, sizeof message) < 0) cannot_try("read of the userfaultfd");
    thread_.join();
  }

 private:
  char* page_ = map_at(0, kPage);
  int discards_ = watch_faults(page_, UFFD_FEATURE_EVENT_REMOVE);
  std::atomic<pid_t> id_ = 0;
  std::atomic<bool> begins_ = false;
  std::thread thread_{[this] {
    id_ = static_cast<pid_t>(raw_syscall(__NR_gettid));
    begins_.wait(false);
    (void)discard_by_madvise(page_, kPage);
  }};
};

// getdents64 with a buffer of 2 KB returns 62 to 85 names. So where the threads stand in the list:
//   0: the main thread, `ender` and `second`
//   3: `early`
// 103: `first`, in the second part of the list
// 104: `early_too`, in which the third part would begin
// 184: `late`, in which, once the others have ended, the second part would begin
// 284: the one in madvise
constexpr int kEarly = 100;
constexpr int kEarlyToo = 80;
constexpr int kLate = 100;
constexpr long kOthers = 5;

}  // namespace

int main() {
  (void)Victim::page();  // what the first seal looks for has been looked for
  std::atomic<bool> seals = false;
  std::function<void()> end_threads;
  std::thread ender([&] {
    seals.wait(false);
    end_threads();
  });
  Stalled second;
  Crowd early(kEarly);
  Stalled first;
  Crowd early_too(kEarlyToo);
  Crowd late(kLate);
  first.begin();
  end_threads = [&] {
    if (!soon([&] { return first.is_traced(); })) std::printf("mseal does not wait for the first thread\n");
    early.end(kEarlyToo + kLate + kOthers);
    early_too.end(kLate + kOthers);
    second.begin();
    first.end();
    if (!soon([&] { return second.is_traced(); })) std::printf("mseal does not wait for the second thread\n");
    late.end(kOthers - 1);
    second.end();
  };
  return StalledDiscard(discard_by_madvise).end_after([&](char* at, std::size_t size) {
    seals = true;
    seals.notify_all();
    const long answer = seal(at, size);
    ender.join();
    return answer;
  });
}
