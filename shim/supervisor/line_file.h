// A file that lines are added to. It may be full, gone, or a pipe that nobody reads. No call ever waits for
// it, and lost lines are counted.
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

  // 0, or errno. ENXIO: a pipe that nobody reads. In a folder where others may make files, neither a symbolic
  // link (ELOOP) nor a file that is not ours alone (EACCES) is followed: what is written, they would aim.
  int open(const std::string& path);
  // Writes to what is open as `descriptor`, which others write to as well.
  int adopt(int descriptor);
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

  // Adds `text`, which ends with a newline, as a whole. 0, or errno: then it is lost, and counted if it
  // counts.
  int write(std::string_view text, bool counts = true);

  // Lines lost since this was last asked.
  std::uint64_t take_lost();

 private:
  long put(std::string_view text);

  int descriptor_ = -1;
  bool may_block_ = false;  // a pipe or terminal that is shared: it is asked first
  bool is_socket_ = false;
  bool torn_ = false;  // the last line was written in part
  std::uint64_t lost_ = 0;
};

}  // namespace libmseal::supervisor
