// A scenario runs in a program of its own, under the preload, and says by its exit status whether all of it
// held.
#pragma once

#include <span>
#include <string_view>

namespace libmseal::tests {

struct Scenario {
  std::string_view name;
  void (*run)(std::span<char*> arguments);
};

// One list a file.
std::span<const Scenario> refusal_scenarios();
std::span<const Scenario> process_scenarios();
std::span<const Scenario> thread_scenarios();
std::span<const Scenario> exec_scenarios();
std::span<const Scenario> image_scenarios();
std::span<const Scenario> api_scenarios();
std::span<const Scenario> batch_scenarios();
std::span<const Scenario> mapping_scenarios();
std::span<const Scenario> type_scenarios();
std::span<const Scenario> supervisor_scenarios();
std::span<const Scenario> sandbox_scenarios();
std::span<const Scenario> hostile_scenarios();

}  // namespace libmseal::tests
