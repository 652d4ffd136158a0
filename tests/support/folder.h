// Files and folders of a test, which are removed when it ends.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "shim/common/no_copy.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

// A path with nothing there.
class TemporaryPath : shim::NoCopy {
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
  [[nodiscard]] std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// A folder.
class Folder {
 public:
  explicit Folder(mode_t mode = 0777) {
    REQUIRE(std::filesystem::create_directory(path_.string()));
    REQUIRE(::chmod(path_.string().c_str(), mode) == 0);
  }
  [[nodiscard]] std::string file(const char* name) const { return path_.string() + "/" + name; }

 private:
  TemporaryPath path_{"folder"};
};

}  // namespace libmseal::tests
