#include "shim/tool/address_space.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>

#include "policy/parsers/text.h"
#include "shim/common/printable.h"

namespace libmseal::tool {
namespace {

// More pieces in one bar could not be distinguished.
constexpr std::size_t kMostPieces = 48;
// Segments of the same file may be further apart.
constexpr std::uint64_t kFarthestSegment = std::uint64_t{64} << 20;
constexpr std::uint64_t kFarthestPart = std::uint64_t{1} << 20;

bool is_bss(const Object& object, const Piece& piece) {
  return piece.object.empty() && std::ranges::any_of(object.sections, [&](const Section& section) {
           return section.range.touches(piece.range);
         });
}

bool goes_on(const Object& object, const Piece& piece) {
  if (object.pieces.size() >= kMostPieces) return false;
  const std::uint64_t gap = piece.range.start - object.pieces.back().range.end;
  if (object.name == piece.object)
    return gap <= (object.name.starts_with('/') ? kFarthestSegment : kFarthestPart);
  return is_bss(object, piece);
}

}  // namespace

std::string hex(std::uint64_t number) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%lx", static_cast<unsigned long>(number));
  return text.data();
}

std::string base_name(const std::string& path) {
  return std::string(policy::last_component(path));
}

bool is_this_host(const std::string& host) {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return host.empty() || (gethostname(name.data(), name.size() - 1) == 0 && host == name.data());
}

std::vector<Object> objects_of(const Image& image, Symbols& symbols) {
  std::vector<Piece> pieces = image.pieces;
  std::ranges::sort(pieces, {}, policy::start_of);
  const bool is_local = is_this_host(image.host);
  std::vector<Object> objects;
  for (Piece& piece : pieces) {
    if (objects.empty() || !goes_on(objects.back(), piece)) {
      Object object{piece.object, {}, {}};
      if (is_local) object.sections = symbols.sections_of(piece.object, piece.offset, piece.range.start);
      objects.push_back(std::move(object));
    }
    objects.back().pieces.push_back(std::move(piece));
  }
  return objects;
}

nlohmann::ordered_json to_json(const Image& image, const std::vector<Object>& objects) {
  nlohmann::ordered_json all{{"host", shim::printable(image.host)},
                             {"program", shim::printable(image.program)},
                             {"pid", image.process},
                             {"parent", image.parent},
                             {"tree", image.tree},
                             {"cut", image.cut},
                             {"events", image.events},
                             {"objects", nlohmann::json::array()}};
  for (const Object& object : objects) {
    nlohmann::ordered_json one{{"name", shim::printable(object.name)},
                               {"pieces", nlohmann::json::array()},
                               {"sections", nlohmann::json::array()}};
    for (const Piece& piece : object.pieces) {
      one["pieces"].push_back({hex(piece.range.start), hex(piece.range.end), piece.protection,
                               hex(piece.offset), piece.sealed ? 1 : 0});
    }
    for (const Section& section : object.sections) {
      one["sections"].push_back(
          {shim::printable(section.name), hex(section.range.start), hex(section.range.end)});
    }
    all["objects"].push_back(std::move(one));
  }
  return all;
}

}  // namespace libmseal::tool
