// Trees of programs under one supervisor: joining one, and founding one.
#pragma once

#include <span>

#include "policy/rules/range.h"
#include "policy/rules/seal.h"
#include "shim/preload/backends/backend.h"
#include "shim/preload/messages/message.h"
#include "shim/preload/state/job.h"
#include "shim/preload/state/state.h"

namespace libmseal::shim {

// Joins the tree of the supervisor that has given this descriptor of a table, with the objects sealed.
Reason join_tree(State& state, long table_descriptor, const ObjectsAtStart& objects, Job& job);

// Starts a supervisor for this process and its descendants.
Reason found_tree(State& state, const StartArguments& arguments, Job& job);

// ---- for both ----

policy::Range table_range(const State& state);

// Puts the objects into `pieces`, and the table if it is not in the sealed area. Its contents are protected,
// so that it can be joined with adjacent objects.
bool add_table(const State& state, std::span<const policy::Seal> objects, Pieces& pieces);

// Puts the pieces for filters before those for the supervisor. Returns the number of the former.
template <class IsLeft>
std::size_t sort_by_decider(const Pieces& pieces, IsLeft is_left, Pieces& sorted) {
  sorted.clear();
  for (const policy::Seal& piece : pieces) {
    if (!is_left(piece)) (void)sorted.push_back(piece);
  }
  const std::size_t filtered = sorted.size();
  for (const policy::Seal& piece : pieces) {
    if (is_left(piece)) (void)sorted.push_back(piece);
  }
  return filtered;
}

}  // namespace libmseal::shim
