// Files that users name.
#pragma once

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace libmseal::tool {

// The whole text. Throws std::runtime_error, with the reason, if it can't be read.
inline std::string read_text(const std::string& path) {
  const auto fail = [&path](const std::string& why) {
    throw std::runtime_error(path + " can't be read: " + why);
  };
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) fail("it is a folder");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(std::generic_category().message(errno));
  std::stringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || text.bad()) fail(std::generic_category().message(errno));
  return text.str();
}

}  // namespace libmseal::tool
