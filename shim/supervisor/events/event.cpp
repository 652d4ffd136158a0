#include "shim/supervisor/events/event.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <ctime>
#include <iomanip>
#include <nlohmann/json.hpp>

#include "shim/common/json_text.h"
#include "shim/supervisor/events/format.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {
namespace {

nlohmann::ordered_json json_of(const Place& place) {
  return {{"address", text(Hex{place.address})},
          {"object", place.object},
          {"offset", text(Hex{place.offset})},
          {"protection", place.protection}};
}

std::string text_of(const Place& place) {
  if (place.address == 0) return "an unknown place";
  if (place.object.empty()) return text(Hex{place.address}, " (anonymous)");
  return text(place.object, "+", Hex{place.offset});
}

// Events of several machines may be collected in one file.
std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::string protection_of(const policy::Vma& vma) {
  return {vma.readable ? 'r' : '-', vma.writable ? 'w' : '-', vma.executable ? 'x' : '-',
          vma.shared ? 's' : 'p'};
}

std::string utc(std::chrono::system_clock::time_point time) {
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return text(std::put_time(&parts, "%Y-%m-%dT%H:%M:%S."), std::setfill('0'), std::setw(3), milliseconds,
              "Z");
}

}  // namespace

std::vector<Place> places_in(Proc& proc, pid_t task, std::initializer_list<std::uint64_t> addresses) {
  std::vector<Place> places;
  for (const std::uint64_t address : addresses) places.push_back({address, "", 0, ""});
  std::size_t missing = places.size();
  (void)visit_maps(proc, task, [&](const policy::Vma& vma) {
    for (Place& place : places) {
      if (!vma.range.contains(place.address)) continue;
      place.object = vma.name;
      place.offset = vma.offset + (place.address - vma.range.start);
      place.protection = protection_of(vma);
      --missing;
    }
    return missing != 0;
  });
  return places;
}

std::string to_json(const Event& event) {
  nlohmann::ordered_json all{
      {"time", utc(event.time)},  {"host", host_name()},
      {"pid", event.process},     {"tid", event.thread},
      {"program", event.program}, {"verdict", event.refused ? "refused" : "would refuse"},
      {"call", event.call},       {"number", event.number}};
  for (const std::uint64_t argument : event.arguments) all["arguments"].push_back(text(Hex{argument}));
  all["start"] = text(Hex{event.range.start});
  all["end"] = text(Hex{event.range.end});
  all["sealed"] = json_of(event.sealed);
  all["site"] = json_of(event.site);
  if (!event.image.empty()) all["image"] = event.image;
  return shim::json_text(all, -1);
}

std::vector<std::string> maps_to_json(Proc& proc, const Event& event, std::span<const policy::Seal> seals,
                                      std::size_t& rows_left) {
  constexpr std::size_t kLineBytes = 3000;  // about; one name alone may be longer
  std::vector<std::string> lines;
  auto rows = nlohmann::ordered_json::array();
  std::size_t bytes = 0;
  bool cut = false;
  const std::string host = host_name();
  const pid_t parent = parent_of(proc, event.process);
  const auto end_line = [&] {
    nlohmann::ordered_json all{{"image", event.image},     {"host", host},
                               {"pid", event.process},     {"parent", parent},
                               {"program", event.program}, {"maps", std::move(rows)}};
    if (cut) all["cut"] = true;
    lines.push_back(shim::json_text(all, -1));
    rows = nlohmann::ordered_json::array();
    bytes = 0;
  };
  (void)visit_maps(proc, event.thread, [&](const policy::Vma& vma) {
    const std::string protection = protection_of(vma);
    policy::for_each_part(seals, vma.range, [&](const policy::Range& part, bool sealed) {
      cut = rows_left == 0;
      if (cut) return false;
      --rows_left;
      constexpr std::size_t kNumbers = 80;
      bytes += kNumbers + vma.name.size();
      if (bytes > kLineBytes && !rows.empty()) end_line();
      rows.push_back({text(Hex{part.start}), text(Hex{part.end}), protection,
                      text(Hex{vma.offset + (part.start - vma.range.start)}), vma.name, sealed});
      return true;
    });
    return !cut;
  });
  if (!rows.empty() || cut) end_line();
  return lines;
}

std::string lost_events_to_json(std::uint64_t count, const std::string& why) {
  return nlohmann::ordered_json{
      {"time", utc(std::chrono::system_clock::now())}, {"lost", count}, {"why", why}}
      .dump();
}

std::string to_text(const Event& event) {
  // A blocked call names no sealed memory.
  const std::string where =
      event.sealed.address == 0 ? "" : text(" on ", text_of(event.sealed), " ", event.sealed.protection);
  return text(event.refused ? "refused " : "would refuse ", event.program, "[", event.thread,
              "]: ", event.call, "(", Hex{event.arguments[0]}, ", ", Hex{event.arguments[1]}, ", ",
              Hex{event.arguments[2]}, ")", where, ", from ", text_of(event.site));
}

}  // namespace libmseal::supervisor
