#include "shim/supervisor/event.h"

#include <ctime>
#include <iomanip>
#include <nlohmann/json.hpp>

#include "shim/supervisor/proc.h"
#include "shim/supervisor/text.h"

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

std::vector<Place> places_in(pid_t task, std::initializer_list<std::uint64_t> addresses) {
  std::vector<Place> places;
  for (const std::uint64_t address : addresses) places.push_back({address, "", 0, ""});
  std::size_t missing = places.size();
  visit_maps_of(task, [&](const policy::Vma& vma) {
    for (Place& place : places) {
      if (!vma.range.contains(place.address)) continue;
      place.object = vma.name;
      place.offset = vma.offset + (place.address - vma.range.start);
      place.protection = {vma.readable ? 'r' : '-', vma.writable ? 'w' : '-', vma.executable ? 'x' : '-',
                          vma.shared ? 's' : 'p'};
      --missing;
    }
    return missing != 0;
  });
  return places;
}

std::string to_json(const Event& event) {
  nlohmann::ordered_json all{{"time", utc(event.time)},
                             {"pid", event.process},
                             {"tid", event.thread},
                             {"program", event.program},
                             {"verdict", event.refused ? "refused" : "would refuse"},
                             {"call", event.call},
                             {"number", event.number}};
  for (const std::uint64_t argument : event.arguments) all["arguments"].push_back(text(Hex{argument}));
  all["start"] = text(Hex{event.range.start});
  all["end"] = text(Hex{event.range.end});
  all["sealed"] = json_of(event.sealed);
  all["site"] = json_of(event.site);
  // Names of files may hold bytes that are no text.
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string lost_events_to_json(std::uint64_t count, const std::string& why) {
  return nlohmann::ordered_json{
      {"time", utc(std::chrono::system_clock::now())}, {"lost", count}, {"why", why}}
      .dump();
}

std::string to_text(const Event& event) {
  return text(event.refused ? "refused " : "would refuse ", event.program, "[", event.thread,
              "]: ", event.call, "(", Hex{event.arguments[0]}, ", ", Hex{event.arguments[1]}, ", ",
              Hex{event.arguments[2]}, ") on ", text_of(event.sealed), " ", event.sealed.protection,
              ", from ", text_of(event.site));
}

}  // namespace libmseal::supervisor
