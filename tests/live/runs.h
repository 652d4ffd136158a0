// What the live tests need besides run(): what was said, and files that are gone with the test.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/run.h"

namespace libmseal::tests {

inline void expect_success(const Run& result) {
  INFO("stdout: " << result.out << "\nstderr: " << result.err);
  CHECK(result.status == 0);
}

inline long count_lines(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

// A path of our own, gone with the test.
class TemporaryPath {
 public:
  explicit TemporaryPath(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("libmseal-" + std::to_string(::getpid()) + "-" + name)) {
    std::filesystem::remove_all(path_);
  }
  ~TemporaryPath() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  [[nodiscard]] std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string text_in(const std::string& path) {
  std::stringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

inline long count_in(const std::string& text, const std::string& wanted) {
  long count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) ++count;
  return count;
}

// The supervisor, which writes them, may be a moment behind.
inline std::string events_in(const std::string& path, long least) {
  std::string text;
  for (int wait = 0; wait < 100; ++wait) {
    text = text_in(path);
    if (count_lines(text) >= least) break;
    ::usleep(20'000);
  }
  return text;
}

}  // namespace libmseal::tests
