#include "shim/tool/page.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <system_error>

#include "page_files.h"
#include "shim/common/json_text.h"
#include "shim/common/printable.h"
#include "shim/tool/text_file.h"

namespace libmseal::tool {
namespace {

// Escapes `<`, which could end the script element. JSON has it only in strings.
std::string for_script(const nlohmann::ordered_json& data) {
  std::string text = shim::json_text(data, -1);
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) text.replace(at, 1, "\\u003c");
  return text;
}

// The template with each {{name}} replaced by its value, not recursively.
std::string filled(std::string_view from, const std::map<std::string_view, std::string>& values) {
  std::string page;
  while (true) {
    const std::size_t begin = from.find("{{");
    const std::size_t end = from.find("}}", begin);
    page += from.substr(0, begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) return page;
    page += values.at(from.substr(begin + 2, end - begin - 2));
    from.remove_prefix(end + 2);
  }
}

std::string numbers_of(const Page& page) {
  std::string html;
  for (const auto& [what, count] : page.numbers)
    html += "<div><dd>" + escaped(count) + "</dd><dt>" + escaped(what) + "</dt></div>";
  return html;
}

// Not readable by other users: the page contains addresses, as the events do.
constexpr mode_t kMode = 0600;

}  // namespace

std::string escaped(std::string_view text) {
  return markup_free(shim::printable(text));
}

std::string markup_free(std::string_view text) {
  std::string safe;
  for (const char character : text) {
    switch (character) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += character;
    }
  }
  return safe;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1000 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  std::array<char, 32> text{};
  const int digits = unit == 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  std::snprintf(text.data(), text.size(), "%.*f %s", digits, size, kUnits[unit]);
  return text.data();
}

std::string mappings_table(const std::string& caption, const std::vector<Object>& objects) {
  std::string html = "<details class=\"mappings\"><summary>" + escaped(caption) +
                     "</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"" +
                     escaped(caption) +
                     "\"><table><thead><tr><th>addresses<th class=\"n\">size<th>protection<th>state<th>object"
                     "</thead><tbody>\n";
  for (const Object& object : objects) {
    for (const Piece& piece : object.pieces) {
      std::array<char, 64> range{};
      std::snprintf(range.data(), range.size(), "%012lx&ndash;%012lx",
                    static_cast<unsigned long>(piece.range.start),
                    static_cast<unsigned long>(piece.range.end));
      html += piece.sealed ? "<tr class=\"sealed\">" : "<tr>";
      html += "<td><code>" + std::string(range.data()) + "</code><td class=\"n\">" +
              size_text(piece.range.size()) + "<td><code>" + escaped(piece.protection) + "</code><td>" +
              (piece.sealed ? "sealed" : "not sealed") + "<td><code>" +
              (piece.object.empty() ? "anonymous" : escaped(piece.object)) + "</code></tr>\n";
    }
  }
  return html + "</tbody></table></div></details>\n";
}

void write_page(const Page& page, const std::string& path) {
  const std::string text = filled(kPageHtml, {{"kind", escaped(page.kind)},
                                              {"title", escaped(page.title)},
                                              {"lead", escaped(page.lead)},
                                              {"numbers", numbers_of(page)},
                                              {"findings", page.findings},
                                              {"policy", markup_free(page.policy)},
                                              {"mappings", page.mappings},
                                              {"style", kPageCss},
                                              {"script", kPageJs},
                                              {"data", for_script(page.data)}});
  const bool is_standard = path == "-";
  const int file = is_standard
                       ? STDOUT_FILENO
                       : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, kMode);
  try {
    if (file < 0 || !write_all(file, text)) throw std::system_error(errno, std::generic_category());
    if (!is_standard && close(file) != 0) throw std::system_error(errno, std::generic_category());
  } catch (const std::system_error& error) {
    throw std::runtime_error((is_standard ? "standard output" : path) +
                             " can't be written: " + error.code().message());
  }
}

}  // namespace libmseal::tool
