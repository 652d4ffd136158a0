// What events say for the picture of a report: the images that they come from, what was mapped there, and
// what was hit.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shim/tool/report.h"

namespace libmseal::tool {

// Of a text as 0x1f.
std::uint64_t number_in(const nlohmann::json& value);

class ReportPicture {
 public:
  // A line of a refusal; `protection` is that of what it hit. Its image is filled in here.
  void add_hit(const nlohmann::json& event, const std::string& host, Hit hit, const std::string& protection);
  // A line of what is mapped in an image.
  void add_maps(const nlohmann::json& line);
  // Hands all of it over.
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
