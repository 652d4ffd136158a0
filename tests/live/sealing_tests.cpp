// What a seal refuses under each backend, scenario by scenario; seals from birth, and seals by the thousand.
#include <sys/mman.h>

#include <string>
#include <utility>

#include "tests/live/runs.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"
#include "tests/support/run.h"

namespace libmseal::tests {
namespace {

constexpr const char* kEverywhere[] = {
    "refuses_changes",
    "leaves_neighbours_alone",
    "keeps_kernels_order_of_errors",
    "discards_what_is_writable",
    "seals_mixed_protections",
    "keeps_sealed_heap",
    "errors_of_mseal",
    "reseals",
    "seals_by_syscall_function",
    "mimmutable_rounds_down",
    "query_tells",
    "own_text_is_sealed",
    "fork_inherits",
    "sealed_again_without_a_filter",
    "other_mapping_in_fork",
    "fork_does_not_seal_the_parent",
    "later_siblings_are_free",
    "seals_after_the_fork_are_not_inherited",
    "seal_has_the_attributes_of_its_own_mapping",
    "threads_are_covered",
    "nothing_to_wait_for",
    "no_descriptor_is_left",
    "signals_do_not_help",
    "seal_beats_in_flight_calls",
    "busy_threads_do_not_notice",
    "debugged_thread_is_waited_for",
};

TEST_CASE("live: seals hold under backend=supervised") {
  for (const char* name : kEverywhere) scenario("backend=supervised", name);
  scenario("backend=supervised", "calls_get_through_between_seals");
}

TEST_CASE("live: seals hold under backend=filters") {
  for (const char* name : kEverywhere) scenario("backend=filters", name);
}

TEST_CASE("live: seals hold under coverage=all") {
  for (const char* name : kEverywhere) scenario("backend=supervised,coverage=all", name);
  for (const char* name : {"exec_drops", "sealed_from_birth", "region_freezes", "errors_of_batches",
                           "interrupted_calls_go_on", "calls_get_through_between_seals"}) {
    scenario("backend=supervised,coverage=all", name);
  }
}

TEST_CASE("live: the same expectations hold for the kernel's own mseal") {
  if (!needs_mseal()) return;
  for (const char* name :
       {"leaves_neighbours_alone", "keeps_kernels_order_of_errors", "keeps_sealed_heap", "errors_of_mseal",
        "reseals", "seals_by_syscall_function", "mimmutable_rounds_down", "query_tells",
        "threads_are_covered", "no_descriptor_is_left", "nothing_to_wait_for",
        "seals_after_the_fork_are_not_inherited"}) {
    scenario("backend=kernel", name);
  }
}

TEST_CASE("live: seals hold when the backend starts at the first mseal") {
  for (const char* backend : {"supervised", "filters"}) {
    const std::string options = std::string("auto=off,backend=") + backend;
    for (const char* name :
         {"refuses_changes", "leaves_neighbours_alone", "keeps_sealed_heap", "threads_are_covered",
          "nothing_to_wait_for", "no_descriptor_is_left", "errors_of_mseal", "own_text_is_not_sealed"}) {
      scenario(options, name);
    }
  }
}

TEST_CASE("live: the libc backend covers libc's functions") {
  const Run result = run(preloaded("backend=libc,verbose=1", {LIVE_PROGRAM, "libc_backend_sees_libc_only"}));
  expect_success(result);
}

TEST_CASE("live: protection keys decide who may discard sealed memory") {
  const int key = ::pkey_alloc(0, 0);
  if (key > 0) ::pkey_free(key);
  if (!needs(key > 0, "a processor with protection keys", "pkeys")) return;
  for (const char* backend : {"backend=supervised", "backend=filters"}) {
    scenario(backend, "raw_discard_of_keyed_memory_is_refused");
    scenario(backend, "keys_decide_about_discarding");
  }
  if (needs_mseal()) scenario("backend=kernel", "keys_decide_about_discarding");
}

TEST_CASE("live: what seals from birth is out of the way of memory that programs place at random") {
  for (const char* backend : {"backend=supervised", "backend=filters"})
    scenario(backend, "random_places_are_free");
}

TEST_CASE("live: memory that is mapped at a hint can be unmapped, wherever that is") {
  const char* const options = GENERATE("backend=supervised", "backend=supervised,coverage=all",
                                       "backend=filters", "backend=supervised,mode=audit,events=/dev/null");
  expect_success(run(preloaded(options, {LIVE_PROGRAM, "hints_give_ordinary_memory"})));
}

TEST_CASE("live: mmap(PROT_SEAL) seals from birth") {
  for (const char* options : {"backend=supervised", "backend=supervised,auto=off", "backend=filters"}) {
    scenario(options, "sealed_from_birth");
  }
  if (needs_mseal()) scenario("backend=kernel", "sealed_from_birth");
  for (const std::string backend :
       {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"}) {
    for (const char* discard : {",discard=strict", ",discard=kernel"})
      scenario((backend + discard).c_str(), "contents_kept_from_birth");
    // Without a supervisor nothing is notified.
    if (backend != "backend=filters") scenario(backend.c_str(), "interrupted_from_birth");
  }
  if (needs_mseal()) scenario("backend=kernel", "contents_kept_from_birth");
  scenario("backend=supervised", "sixty_thousand_from_birth");
  for (const char* options : {"backend=supervised", "backend=filters"})
    scenario(options, "failed_mappings_take_no_room");
}

TEST_CASE("live: mmap(MAP_SEALABLE) is memory as any other until it is sealed, and takes no filter then") {
  const auto runs = [](const std::string& options, std::vector<std::string> arguments) {
    INFO(options);
    arguments.insert(arguments.begin(), {LIVE_PROGRAM, "sealable"});
    expect_success(run(preloaded(options, arguments)));
  };
  runs("backend=supervised", {"1000", "without filter"});  // more than fit as filters
  runs("backend=supervised,auto=off", {"20", "without filter"});
  runs("backend=supervised,coverage=all", {"20", "without filter"});
  runs("backend=filters", {"20"});
  if (needs_mseal()) runs("backend=kernel", {"20"});
}

TEST_CASE("live: huge pages of every size are mapped as without the library") {
  for (const char* options : {"backend=supervised", "backend=filters"})
    scenario(options, "huge_pages_of_every_size");
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all"})
    scenario(options, "sealed_huge_page");
}

TEST_CASE("live: the kernel's own seals are as many to a call as libmseal(3) says") {
  for (const char* backend : {"backend=supervised", "backend=filters"})
    scenario(backend, "batch_of_neighbours");
  if (needs_mseal()) {
    scenario("backend=kernel", "large_batch");
    scenario("backend=kernel", "batch_of_neighbours");
  }
}

TEST_CASE("live: a range is sealed as a whole, whatever of it is sealed already") {
  if (needs_mseal()) scenario("backend=kernel,require=kernel", "seals_around_sealed_pages");
  for (const char* options : {"backend=supervised", "backend=supervised,coverage=all", "backend=filters"})
    scenario(options, "seals_around_sealed_pages");
}

TEST_CASE("live: a memory resource is filled and frozen") {
  for (const char* name : {"region_freezes", "region_freezes_again"}) {
    for (const char* backend : {"backend=supervised", "backend=filters"}) scenario(backend, name);
    if (needs_mseal()) scenario("backend=kernel", name);
  }
}

TEST_CASE("live: coverage=all takes seals by the hundred, and images one after the other") {
  expect_success(
      run(preloaded("backend=supervised,coverage=all", {LIVE_PROGRAM, "seals_in_batches", "1000"})));
  expect_success(
      run(preloaded("backend=supervised,coverage=all,auto=off", {LIVE_PROGRAM, "seals_one_by_one", "200"})));
  expect_success(run(preloaded("backend=supervised,coverage=all", {LIVE_PROGRAM, "exec_chain", "50"})));
}

TEST_CASE("live: thousands of ranges in one call, all or nothing") {
  expect_success(run(preloaded("backend=supervised", {LIVE_PROGRAM, "seals_in_batches", "5000"})));
  expect_success(run(preloaded("backend=filters", {LIVE_PROGRAM, "seals_in_batches", "1000"})));
  expect_success(run(preloaded("backend=libc", {LIVE_PROGRAM, "errors_of_batches"})));
  expect_success(run(preloaded("backend=libc", {LIVE_PROGRAM, "second_batch_past_the_room"})));
  for (const char* backend : {"backend=supervised", "backend=filters"}) {
    scenario(backend, "errors_of_batches");
    expect_success(run(preloaded(backend, {LIVE_PROGRAM, "batch_past_the_budget"})));
  }
  if (needs_mseal()) {
    scenario("backend=kernel", "errors_of_batches");
    expect_success(run(preloaded("backend=kernel", {LIVE_PROGRAM, "seals_in_batches", "5000"})));
  }
}

TEST_CASE("live: when filters are used up, mseal fails and one line says what to do") {
  for (const auto& [backend, least] :
       {std::pair("backend=supervised", "700"), std::pair("backend=filters", "80")}) {
    const Run result = run(preloaded(backend, {LIVE_PROGRAM, "budget_ends_cleanly", least}));
    expect_success(result);
    CHECK(count_lines(result.err) == 1);
    CHECK_THAT(result.err, ContainsSubstring("accepts no more filters") &&
                               ContainsSubstring("what is sealed stays sealed"));
  }
}

}  // namespace
}  // namespace libmseal::tests
