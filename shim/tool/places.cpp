#include "shim/tool/places.h"

#include <filesystem>
#include <stdexcept>

namespace libmseal::tool {

std::string find_library() {
  namespace fs = std::filesystem;
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path beside = here / "libmseal.so";
  if (fs::exists(beside)) return beside;
  const fs::path installed = (here / LIBMSEAL_LIBRARY_DIRECTORY / "libmseal.so").lexically_normal();
  if (fs::exists(installed)) return installed;
  throw std::runtime_error("libmseal.so is neither " + beside.string() + " nor " + installed.string() +
                           ": install it, or build the target mseal");
}

}  // namespace libmseal::tool
