// A file that lines are added to, which may be full, a pipe that nobody reads, or gone: whatever it is, no
// call waits for it, and no line is lost without a count.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace libmseal::supervisor {

class LineFile {
 public:
  LineFile() = default;
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // 0, or errno. ENXIO: a pipe that nobody reads.
  int open(const std::string& path);
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

  // Adds `text`, which ends with a newline, as a whole. 0, or errno: then it is lost, and counted.
  int write(std::string_view text);

  // Lines lost since this was last asked.
  std::uint64_t take_lost();

 private:
  int descriptor_ = -1;
  bool torn_ = false;  // the last line was written in part
  std::uint64_t lost_ = 0;
};

}  // namespace libmseal::supervisor
