// A self-contained HTML page, made of the files in page/ and its data.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/tool/address_space.h"

namespace libmseal::tool {

struct Page {
  std::string kind;  // report or status
  std::string title;
  std::string lead;                                          // a sentence
  std::vector<std::pair<std::string, std::string>> numbers;  // label and count
  std::string findings;                                      // rows of a table, as HTML
  std::string policy;
  std::string mappings;  // tables, as HTML
  nlohmann::ordered_json data;
};

// Escapes HTML markup.
std::string markup_free(std::string_view text);
// The same for a name, which may contain control characters.
std::string escaped(std::string_view text);

// 12,345.
std::string grouped(std::uint64_t number);
// As 1.4 MiB.
std::string size_text(std::uint64_t bytes);

// A table with a line for each piece.
std::string mappings_table(const std::string& caption, const std::vector<Object>& objects);

// To the file, or to standard output for "-". Throws std::runtime_error if it can't be written.
void write_page(const Page& page, const std::string& path);

}  // namespace libmseal::tool
