// Messages to the supervisor: six registers with anything in them.
#include "policy/protocol/control.h"

#include "tests/fuzz/input.h"

using namespace libmseal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  policy::Arguments arguments;
  for (auto& argument : arguments) argument = input.take<std::uint64_t>();
  if (input.take<std::uint8_t>() % 2 == 0) arguments[3] = policy::kControlMagic;
  if (const auto unwrapped = policy::unwrap_from_mmap(arguments))
    tests::must(policy::wrap_in_mmap(*unwrapped) == arguments);
  bool malformed = false;
  const auto message = policy::decode_control(policy::kX86Machine, arguments, malformed);
  tests::must(!(message && malformed));
  if (!message) {
    tests::must(malformed == (arguments[3] == policy::kControlMagic));
    return 0;
  }
  if (message->more.empty() && message->number <= 0xFFFF)
    tests::must(policy::unwrap_from_mmap(policy::wrap_in_mmap(arguments)) == arguments);
  using Kind = policy::Control::Kind;
  if (message->kind == Kind::call_site) return 0;
  const bool without_pages = message->kind == Kind::join || message->kind == Kind::filters_are_in ||
                             message->kind == Kind::cancel || message->kind == Kind::is_alone ||
                             message->kind == Kind::refusals;
  const bool may_be_empty = without_pages || message->kind == Kind::seal;
  tests::must(message->seal.range.empty() ? may_be_empty : !without_pages);
  tests::must(message->seal.range.start % 4096 == 0 && message->seal.range.end % 4096 == 0);
  tests::must(encode(*message) == arguments);
  return 0;
}
