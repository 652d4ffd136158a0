// One call that was, or would have been, refused, with all details.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "policy/rules/mm_call.h"
#include "policy/rules/range.h"
#include "policy/rules/seal.h"

namespace libmseal::supervisor {

class Proc;

// An address, and what is mapped there.
struct Place {
  std::uint64_t address = 0;  // 0: not known
  std::string object;         // a path, a label such as [heap], or empty: anonymous memory
  std::uint64_t offset = 0;   // in the object
  std::string protection;     // as in /proc/PID/maps
};

struct Event {
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
  pid_t process = 0;
  pid_t thread = 0;
  std::string program;
  bool refused = false;  // false: it was allowed, because the mode is audit
  std::string call;
  std::uint64_t number = 0;
  policy::Arguments arguments{};
  policy::Range range;            // what the call would touch
  Place sealed;                   // the first sealed address in it
  Place site;                     // the call site: where the call, or libc's wrapper, returns to
  std::string image;              // the number of the image in the tree; empty: not known
  std::vector<std::string> maps;  // with the first event of an image: the lines with its mappings
};

// What is mapped at each of the addresses in the task, read at once.
std::vector<Place> places_in(Proc& proc, pid_t task, std::initializer_list<std::uint64_t> addresses);
inline Place place_in(Proc& proc, pid_t task, std::uint64_t address) {
  return places_in(proc, task, {address}).front();
}

std::string to_json(const Event& event);

// The mappings of the event's thread, and which of them are sealed, as lines of a few KiB, which pipes and
// journals do not split. At most `rows_left` pieces; decreases `rows_left`.
std::vector<std::string> maps_to_json(Proc& proc, const Event& event, std::span<const policy::Seal> seals,
                                      std::size_t& rows_left);

std::string to_text(const Event& event);

// The line that counts events that are missing in the file.
std::string lost_events_to_json(std::uint64_t count, const std::string& why);

}  // namespace libmseal::supervisor
