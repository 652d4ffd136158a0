// The program that the live tests start under the preload: live_program SCENARIO [ARGUMENTS].
#include <cstdio>
#include <string_view>

#include "tests/live/expect.h"
#include "tests/live/scenario.h"

int main(int count, char** arguments) {
  using namespace libmseal::tests;
  if (count < 2) return 2;
  const std::string_view wanted = arguments[1];
  for (const auto scenarios :
       {refusal_scenarios(), process_scenarios(), thread_scenarios(), exec_scenarios(), image_scenarios(),
        api_scenarios(), batch_scenarios(), mapping_scenarios(), supervisor_scenarios(), sandbox_scenarios(),
        hostile_scenarios(), type_scenarios()}) {
    for (const Scenario& scenario : scenarios) {
      if (scenario.name != wanted) continue;
      scenario.run({arguments + 2, static_cast<std::size_t>(count - 2)});
      return g_failures == 0 ? 0 : 1;
    }
  }
  std::fprintf(stderr, "no scenario %s\n", arguments[1]);
  return 2;
}
