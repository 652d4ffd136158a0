// JSON as text. Invalid UTF-8 becomes a replacement character: paths and options may contain any bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace libmseal::shim {

// `indent`: of a level; -1: all on one line.
template <class Json>
std::string json_text(const Json& value, int indent = 2) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace libmseal::shim
