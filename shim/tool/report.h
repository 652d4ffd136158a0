// The contents of event files, grouped.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/rules/range.h"
#include "shim/tool/address_space.h"

namespace libmseal::tool {

// All events with the same call, call site, and sealed part of an object.
struct Finding {
  std::string program;
  std::string verdict;  // "refused" or "would refuse"
  std::string call;
  std::string object;     // what was sealed: a path, a label, or empty
  std::string section;    // of the object, if it is an ELF file
  std::string site;       // where the call came from: module and function or offset
  std::string exemption;  // the item of MSEAL_OPTIONS that allows the call; empty: there is none
  std::string first;      // time
  std::string last;
  std::uint64_t count = 0;
  std::map<std::string, std::uint64_t> hosts;  // how many on each; "": not known
  // For joining hosts.
  bool is_local = false;   // names come from files on this machine
  std::string offset;      // where the call came from: module and offset
  std::string protection;  // of what was sealed
  std::size_t number = 0;  // in the order of first events
};

// One event, for the picture.
struct Hit {
  std::size_t image = 0;
  std::size_t finding = 0;
  std::string time;
  policy::Range range;        // what the call would change
  std::uint64_t address = 0;  // the first of it that is sealed
};

struct Report {
  std::vector<Finding> findings;  // the most frequent first
  std::uint64_t events = 0;
  std::uint64_t lost = 0;  // not written by the supervisor: errors, or too many per second
  std::map<std::string, std::uint64_t> hosts;  // events on each

  // For the picture alone.
  std::vector<Image> images;  // in the order of their first events
  std::vector<Hit> hits;      // the first ones
};

// Throws std::runtime_error, with the line, if a file can't be read or has other contents.
Report read_reports(const std::vector<std::string>& paths, bool with_picture);

// A pattern of policy files for a file of that name. Characters with a meaning in patterns or lists, and
// control characters, become a wildcard.
std::string pattern_for(const std::string& name);

// A policy file that allows all calls of the report; empty if that is impossible.
std::string policy_of(const Report& report);

void write_report_page(const Report& report, const std::string& path);

}  // namespace libmseal::tool
