// The mappings of a program, for the HTML page that draws them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policy/rules/range.h"
#include "shim/tool/symbols.h"

namespace libmseal::tool {

// A mapping, or a sealed or unsealed part of one.
struct Piece {
  policy::Range range;
  std::string protection;    // as in /proc/PID/maps
  std::uint64_t offset = 0;  // in the object
  std::string object;        // a path, a label such as [heap], or empty: anonymous memory
  bool sealed = false;
};

// Pieces that are drawn together: the segments of a file with its .bss, a stack, or anonymous memory.
struct Object {
  std::string name;
  std::vector<Piece> pieces;
  std::vector<Section> sections;
};

// One executed program of a tree.
struct Image {
  std::string host;
  std::string program;
  std::int64_t process = 0;
  std::int64_t parent = 0;    // 0: not known
  std::string tree;           // the same for all programs of a tree; empty: not known
  std::vector<Piece> pieces;  // in any order
  bool cut = false;           // the event file does not have all mappings
  std::uint64_t events = 0;
};

// Without 0x.
std::string hex(std::uint64_t number);

// The path without its folders.
std::string base_name(const std::string& path);

// Whether the events come from this machine, so that its files can be used for names.
bool is_this_host(const std::string& host);

// From the lowest address to the highest.
std::vector<Object> objects_of(const Image& image, Symbols& symbols);

nlohmann::ordered_json to_json(const Image& image, const std::vector<Object>& objects);

}  // namespace libmseal::tool
