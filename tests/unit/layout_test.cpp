// What library, supervisor, table and tool pass to each other, member by member. A change of any of these
// members fails here: when this is compiled, where a member comes or goes, or when the test runs.
#include "policy/protocol/layout.h"
#include "mseal/mseal.h"

#include <cstddef>
#include <sstream>
#include <string>
#include <type_traits>

#include "policy/configuration/options.h"
#include "policy/configuration/tree_options.h"
#include "policy/protocol/control.h"
#include "shim/common/seal_table.h"
#include "tests/support/catch.h"

// As glibc declares it, which clang insists on.
static_assert(noexcept(::mseal(nullptr, 0, 0)));

namespace libmseal {
namespace {

// "name size: offset+size of each member". Members in the order in which they stand.
template <class Whole, class... Members>
std::string describe(const char* name, const Whole& whole, const Members&... members) {
  std::ostringstream text;
  text << name << " " << sizeof whole << ":";
  const auto* const start = reinterpret_cast<const char*>(&whole);
  ((text << " " << reinterpret_cast<const char*>(&members) - start << "+" << sizeof members), ...);
  text << "\n";
  return text.str();
}

// Where Boost's containers have their say, only the sizes of what is ours.
template <class... Members>
std::string sizes(const char* name, const Members&... members) {
  std::ostringstream text;
  text << name << ":";
  ((text << " " << sizeof members), ...);
  text << "\n";
  return text.str();
}

std::string describe_everything() {
  std::string all;
  {
    const policy::Ready one;
    const auto& [a, b, c, d, e] = one;
    all += describe("Ready", one, a, b, c, d, e);
  }
  {
    const policy::Start one;
    const auto& [a, b, c, d, e, f, g, h, i, j, k] = one;
    all += describe("Start", one, a, b, c, d, e, f, g, h, i, j, k);
  }
  {
    const policy::Serving one;
    const auto& [a, b, c, d] = one;
    all += describe("Serving", one, a, b, c, d);
  }
  {
    const policy::Range one;
    const auto& [a, b] = one;
    all += describe("Range", one, a, b);
  }
  {
    const policy::Seal one;
    const auto& [a, b, c, d, e] = one;
    all += describe("Seal", one, a, b, c, d, e);
  }
  {
    const policy::TreeOptions one;
    const auto& [a, b, c] = one;
    all += describe("TreeOptions", one, a, b, c);
  }
  {
    const policy::Options one;
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u] = one;
    all += describe("Options", one, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u);
    policy::Options unchanged;
    policy::OptionError error;
    (void)policy::parse_option("?", unchanged, error);
    all += "keys: " + std::string(error.allowed) + "\n";
  }
  {
    const shim::TableRoot one;
    const auto& [a, b, c, d, e] = one;
    all += describe("TableRoot", one, a, b, c, d, e);
  }
  {
    alignas(std::max_align_t) char memory[4096];
    auto* const manager = new (memory) shim::TableMemory(sizeof memory);
    const shim::SealTable one(manager);
    const auto& [generation, seals, fences, ticket, pieces, keyed, breaks, tree_options, options,
                 complaints] = one;
    const typename std::decay_t<decltype(seals)>::value_type seal{};
    const typename std::decay_t<decltype(fences)>::value_type fence{};
    const typename std::decay_t<decltype(pieces)>::value_type piece{};
    const typename std::decay_t<decltype(keyed)>::value_type key{};
    const typename std::decay_t<decltype(options)>::value_type option{};
    const typename std::decay_t<decltype(complaints)>::value_type complaint{};
    all += sizes("SealTable", generation, seal, fence, ticket, piece, key, breaks, tree_options, option,
                 complaint);
  }
  {
    const policy::Control one;
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = one;
    all += describe("Control", one, a, b, c, d, e, f, g, h, i, j, k, l, m, n);
    const auto last = static_cast<int>(policy::Control::Kind::refusals);
    for (int kind = 1; kind <= last; ++kind) {
      policy::Control message{static_cast<policy::Control::Kind>(kind),
                              {{0x1000, 0x3000}, true, true, policy::kBaseType, 7}};
      message.object_part = message.writable_too = true;
      message.discard_as_kernel = message.refused = true;
      message.present_break = 0x800000;
      message.site = 0x401234;
      message.number = 11;
      message.third_argument = 3;
      message.count = 5;
      for (const std::uint64_t argument : encode(message)) all += std::to_string(argument) + " ";
      (void)message.more.push_back({0x5000, 0x6000});
      message.last_is_supervised = true;
      for (const std::uint64_t argument : encode(message)) all += std::to_string(argument) + " ";
    }
    all += "\n";
  }
  std::ostringstream numbers;
  numbers << "numbers: " << policy::kControlMagic << " " << shim::kTableMagic << " " << shim::kTableHeader
          << " " << shim::kTableBytes << " " << shim::kOptionTextBytes << " " << shim::kMostSeals << " "
          << shim::kMostFences << " " << shim::kMostPieces << " " << shim::kMostKeyed << " "
          << static_cast<int>(policy::NextStep::sealed) << " "
          << static_cast<int>(policy::Trouble::refused_call) << " "
          << policy::encode(policy::TablePlace{1, 2}) << "\n";
  return all + numbers.str();
}

std::uint32_t fingerprint(const std::string& text) {
  std::uint32_t hash = 2166136261;  // FNV-1a
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 16777619;
  return hash;
}

TEST_CASE("what the parts pass to each other has not changed, or has a new version") {
  const std::string text = describe_everything();
  INFO(text);
  // If this fails: raise kLayoutVersion by one, and put the new pair here.
  CHECK(policy::kLayoutVersion == 25);
  CHECK(fingerprint(text) == 0xc33fd22e);
}

}  // namespace
}  // namespace libmseal
