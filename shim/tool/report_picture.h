// Collects the data for the picture in a report: the images of the events, their mappings, and the hits.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shim/tool/report.h"

namespace libmseal::tool {

// Parses a string such as 0x1f.
std::uint64_t number_in(const nlohmann::json& value);

class ReportPicture {
 public:
  // Adds a refusal; `protection` is that of the memory that it hit. Sets the hit's image.
  void add_hit(const nlohmann::json& event, const std::string& host, Hit hit, const std::string& protection);
  // Adds a line with mappings of an image.
  void add_maps(const nlohmann::json& line);
  // Moves the data to the report.
  void finish(Report& report);

 private:
  void add_hit_pages(std::size_t index);
  std::size_t image_of(const std::string& host, const std::string& name, bool names_tree);

  std::vector<Image> images_;
  std::vector<Hit> hits_;
  std::map<std::pair<std::string, std::string>, std::size_t> numbers_;  // of images, by host and name
  std::vector<std::map<std::uint64_t, Piece>> hit_pages_;               // of each image
  std::size_t pieces_ = 0;
};

}  // namespace libmseal::tool
