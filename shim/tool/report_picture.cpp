#include "shim/tool/report_picture.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace libmseal::tool {
namespace {

using nlohmann::json;

// As many as a browser can display.
constexpr std::size_t kMostHits = 20'000;
constexpr std::size_t kMostImages = 1000;
constexpr std::size_t kMostPieces = 200'000;

constexpr std::size_t kNoImage = ~std::size_t{0};

}  // namespace

std::uint64_t number_in(const json& value) {
  return std::stoull(value.get<std::string>(), nullptr, 16);
}

void ReportPicture::add_hit(const json& event, const std::string& host, Hit hit,
                            const std::string& protection) {
  const std::int64_t process = event.at("pid");
  const std::string program = event.at("program");
  // An event has no image if its process was not known.
  const std::string unnamed = std::to_string(process) + " " + program;
  const std::size_t index =
      event.contains("image") ? image_of(host, event.at("image"), true) : image_of(host, unnamed, false);
  if (index == kNoImage) return;
  Image& image = images_[index];
  if (image.program.empty()) image.program = program;
  if (image.process == 0) image.process = process;
  ++image.events;
  hit.image = index;
  hit.address = number_in(event.at("sealed").at("address"));
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t page = policy::round_down(hit.address, kPage);
  if (page != 0 && pieces_ < kMostPieces) {
    const std::uint64_t offset = policy::round_down(number_in(event.at("sealed").at("offset")), kPage);
    const auto [place, is_new] = hit_pages_[index].try_emplace(
        page, Piece{{page, page + kPage}, protection, offset, event.at("sealed").at("object"), true});
    if (is_new) ++pieces_;
  }
  if (hits_.size() < kMostHits) hits_.push_back(std::move(hit));
}

void ReportPicture::add_maps(const json& line) {
  const std::size_t index = image_of(line.at("host"), line.at("image"), true);
  if (index == kNoImage) return;
  Image& image = images_[index];
  image.program = line.at("program");
  image.process = line.at("pid");
  image.parent = line.at("parent");
  image.cut = image.cut || line.value("cut", false);
  for (const json& row : line.at("maps")) {
    if (pieces_ == kMostPieces) {
      image.cut = true;
      return;
    }
    ++pieces_;
    image.pieces.push_back({{number_in(row.at(0)), number_in(row.at(1))},
                            row.at(2),
                            number_in(row.at(3)),
                            row.at(4),
                            row.at(5)});
  }
}

// Adds pages that were hit but are not in the recorded mappings: they were mapped later, or mappings are
// missing.
void ReportPicture::add_hit_pages(std::size_t index) {
  std::vector<Piece>& pieces = images_[index].pieces;
  std::ranges::sort(pieces, {}, policy::start_of);
  std::vector<Piece> missing;
  for (auto& [page, piece] : hit_pages_[index]) {
    const auto after = std::ranges::upper_bound(pieces, page, {}, policy::start_of);
    const bool is_there = after != pieces.begin() && std::prev(after)->range.contains(page);
    const bool is_free = after == pieces.end() || !after->range.touches(piece.range);
    if (!is_there && is_free) missing.push_back(std::move(piece));
  }
  pieces.insert(pieces.end(), missing.begin(), missing.end());
}

std::size_t ReportPicture::image_of(const std::string& host, const std::string& name, bool names_tree) {
  const auto found = numbers_.find({host, name});
  if (found != numbers_.end()) return found->second;
  if (images_.size() == kMostImages) return kNoImage;
  numbers_[{host, name}] = images_.size();
  Image image;
  image.host = host;
  if (names_tree) image.tree = name.substr(0, name.rfind('-'));
  images_.push_back(std::move(image));
  hit_pages_.emplace_back();
  return images_.size() - 1;
}

void ReportPicture::finish(Report& report) {
  for (std::size_t index = 0; index < images_.size(); ++index) add_hit_pages(index);
  report.images = std::move(images_);
  report.hits = std::move(hits_);
}

}  // namespace libmseal::tool
