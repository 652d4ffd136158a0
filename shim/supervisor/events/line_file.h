// A file to which lines are appended. Writing never blocks, even if it is full or a pipe without a reader.
#pragma once

#include <string>
#include <string_view>

#include "shim/common/no_copy.h"

namespace libmseal::supervisor {

class LineFile : shim::NoCopy {
 public:
  ~LineFile();

  // 0, or errno. ENXIO: a pipe without a reader. In a directory where others may create files, fails for a
  // symbolic link (ELOOP) and a file of another user (EACCES), which would let them redirect what is written.
  int open(const std::string& path);
  // Writes to the open `descriptor`, which others use as well.
  int adopt(int descriptor);
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

  // Appends `text`, which ends with a newline, in one piece. 0, or errno: then it is lost.
  int write(std::string_view text);

 private:
  long put(std::string_view text);

  int descriptor_ = -1;
  bool may_block_ = false;  // a shared pipe or terminal: poll() before writing
  bool is_socket_ = false;
  bool torn_ = false;  // the last line was written in part
};

}  // namespace libmseal::supervisor
