// A folder of our own, gone with the test.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "shim/common/no_copy.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

class Folder : shim::NoCopy {
 public:
  explicit Folder(mode_t mode = 0777) {
    std::string name = (std::filesystem::temp_directory_path() / "libmseal-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    REQUIRE(::chmod(name.c_str(), mode) == 0);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace libmseal::tests
