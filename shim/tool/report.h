// What a file of events says, put together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace libmseal::tool {

// All events with one call from one place on one part of one object.
struct Finding {
  std::string program;
  std::string verdict;  // "refused" or "would refuse"
  std::string call;
  std::string object;   // what was sealed: a path, a label, or empty
  std::string section;  // of the object, if it is an ELF file
  std::string site;     // where the call came from: module and function or offset
  std::string
      exemption;  // what to write into MSEAL_OPTIONS to have the object left unsealed; empty: nothing helps
  std::string first;  // time
  std::string last;
  std::uint64_t count = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> hits;  // addresses, of the first few
};

struct Report {
  std::vector<Finding> findings;  // the most frequent first
  std::uint64_t events = 0;
  std::uint64_t lost = 0;  // that the supervisor could not write, or did not: too many a second
};

// Throws std::runtime_error, with the line, if the file can't be read or holds something else.
Report read_report(const std::string& path);

std::string html_page(const Report& report);

}  // namespace libmseal::tool
