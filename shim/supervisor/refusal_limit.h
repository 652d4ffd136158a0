// How many refusals are recorded in enforce mode: a program that tries in a loop must not fill the disk, nor
// have the supervisor look at processes all the time.
#pragma once

#include <algorithm>
#include <chrono>

namespace libmseal::supervisor {

class RefusalLimit {
 public:
  using Clock = std::chrono::steady_clock;

  // Whether one more is to be recorded.
  [[nodiscard]] bool admits() noexcept {
    const Clock::time_point now = Clock::now();
    time_left_ = std::min<Clock::duration>(kMostTime, time_left_ + (now - refilled_) / kTimeShare);
    refilled_ = now;
    if (now - second_ >= std::chrono::seconds(1)) {
      second_ = now;
      in_second_ = 0;
    }
    if (in_second_ >= kMostPerSecond || time_left_ <= Clock::duration::zero()) return false;
    ++in_second_;
    return true;
  }

  // As long as this is there, a process is looked at for a refusal.
  class Looking {
   public:
    explicit Looking(RefusalLimit& limit) : limit_(limit) {}
    ~Looking() { limit_.time_left_ -= Clock::now() - start_; }
    Looking(const Looking&) = delete;
    Looking& operator=(const Looking&) = delete;

   private:
    RefusalLimit& limit_;
    Clock::time_point start_ = Clock::now();
  };

 private:
  static constexpr unsigned kMostPerSecond = 50;
  // A look at a process with 65,000 mappings takes 30 ms, in which no other call is answered. So looks take a
  // tenth of the time at most, but for a few at once.
  static constexpr std::chrono::milliseconds kMostTime{500};
  static constexpr int kTimeShare = 10;

  Clock::time_point second_{};
  unsigned in_second_ = 0;
  Clock::time_point refilled_{};
  Clock::duration time_left_{};  // for looks
};

}  // namespace libmseal::supervisor
