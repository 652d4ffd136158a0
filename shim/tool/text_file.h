// Reads and writes text files. Their names come from users: what is read may be endless, or a pipe without a
// writer.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "shim/common/no_copy.h"

namespace libmseal::tool {

class TextFile : shim::NoCopy {
 public:
  // `-` is standard input. This and all functions below throw std::runtime_error if it can't be read.
  explicit TextFile(const std::string& path)
      : path_(path == kInput ? "standard input" : path),
        file_(path == kInput ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                             : open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)),
        patience_(path == kInput ? -1 : 10'000) {
    if (file_ < 0) fail(std::generic_category().message(errno));
    struct stat status {};
    if (fstat(file_, &status) != 0) return;
    if (S_ISDIR(status.st_mode)) {
      close(file_);
      fail("it is a directory");
    }
    // A pipe without a writer would seem empty.
    if (S_ISFIFO(status.st_mode)) wait_for_more();
    // Reads only the current size: the file may grow meanwhile. Files of /proc may have size 0.
    if (S_ISREG(status.st_mode) && status.st_size > 0) {
      left_ = static_cast<std::uint64_t>(status.st_size);
      endless_ = false;
    }
  }
  ~TextFile() { close(file_); }

  // For messages.
  [[nodiscard]] const std::string& name() const { return path_; }

  // Calls visit(line, is_complete) for each line: the last one may lack its end.
  template <class Visit>
  void for_each_line(std::size_t longest, Visit visit) {
    std::string held;
    std::size_t number = 1;
    while (fill(held)) {
      std::size_t begin = 0;
      for (std::size_t end = 0; (end = held.find('\n', begin)) != std::string::npos; begin = end + 1) {
        check(end - begin, longest, number);
        visit(held.substr(begin, end - begin), true);
        ++number;
      }
      held.erase(0, begin);
      check(held.size(), longest, number);
    }
    if (!held.empty()) visit(held, false);
  }

  std::string whole(std::size_t largest) {
    std::string text;
    while (fill(text)) {
      if (text.size() > largest) fail("it has more than " + std::to_string(largest) + " bytes");
    }
    return text;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error(path_ + " can't be read: " + why);
  }

  void check(std::size_t size, std::size_t longest, std::size_t number) const {
    if (size > longest)
      fail("line " + std::to_string(number) + " has more than " + std::to_string(longest) + " bytes");
  }

  void wait_for_more() const {
    pollfd wanted{file_, POLLIN, 0};
    if (poll(&wanted, 1, patience_) == 0) fail("no data arrived in time");
  }

  // False at the end.
  bool fill(std::string& text) {
    constexpr std::size_t kPart = 65536;
    if (left_ == 0) {
      if (!endless_) return false;
      fail("it is endless; copy the part you want to a file");
    }
    const std::size_t old = text.size();
    text.resize(old + static_cast<std::size_t>(std::min<std::uint64_t>(kPart, left_)));
    ssize_t got = -1;
    while ((got = read(file_, text.data() + old, text.size() - old)) < 0 &&
           (errno == EINTR || errno == EAGAIN)) {
      if (errno == EAGAIN) wait_for_more();
    }
    if (got < 0) fail(std::generic_category().message(errno));
    text.resize(old + static_cast<std::size_t>(got));
    left_ -= static_cast<std::uint64_t>(got);
    return got != 0;
  }

  static constexpr std::string_view kInput = "-";

  std::string path_;
  int file_;
  int patience_;                                 // ms; -1: standard input may take any time
  std::uint64_t left_ = std::uint64_t{1} << 30;  // the limit for files without a known size
  bool endless_ = true;
};

// False, with errno set, if not all of it could be written.
inline bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace libmseal::tool
