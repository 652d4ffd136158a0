// Random seals, and random calls near them.
#pragma once

#include <linux/seccomp.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "policy/bpf/range_program.h"
#include "policy/rules/verdict.h"
#include "tests/support/catch.h"

namespace libmseal::tests {

using policy::Abi;
using policy::Arguments;
using policy::Call;
using policy::Machine;
using policy::MmCall;
using policy::Range;
using policy::Seal;

inline constexpr std::uint64_t kPage = 4096;

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}
inline bool one_in(Random& random, std::uint64_t count) {
  return below(random, count) == 0;
}

// Addresses cluster where mistakes do: equal upper words, both sides of a 4 GiB line, the ends of the space,
// just above huge pages.
inline std::uint64_t random_page(Random& random) {
  static constexpr std::uint64_t kBases[] = {0,
                                             0x10000,
                                             0x4000'0000,
                                             0xFFFF0000,
                                             0x100000000,
                                             0x5555'5555'4000,
                                             0x5555'FFFF'F000,
                                             0x7FFF'F7FF'0000,
                                             0x7FFF'0000'0000,
                                             0x7FFF'FFFF'0000};
  const std::uint64_t base = kBases[below(random, std::size(kBases))];
  return (base + below(random, 64) * kPage) & ~(kPage - 1);
}

inline void append(std::vector<Range>& ranges, const Range& range) {
  if (!ranges.empty() && ranges.back().end == range.start) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

// Seals with all that the programs are told of them.
struct Case {
  std::vector<Seal> seals;
  std::vector<Range> ranges;
  std::vector<Range> contents;
  std::vector<std::uint64_t> attachments;
  bool may_grow_down = false;
  Range refused_breaks;
  bool protection = true;  // of all seals alike, as of those that one call makes

  [[nodiscard]] policy::DeniedRanges denied() const { return {ranges, contents, refused_breaks, protection}; }
  [[nodiscard]] policy::SealedMemory memory() const { return {seals}; }
};

inline Case case_of(std::vector<Seal> seals) {
  Case one;
  one.seals = std::move(seals);
  for (Seal& seal : one.seals) {
    // A filter is made of what one process sees, in which a page is attached once.
    if (seal.attachment == Seal::kSeveralAttachments) seal.attachment = Seal::kNotAttached;
    append(one.ranges, seal.range);
    if (seal.discard_protected) append(one.contents, seal.range);
    one.protection = seal.has(policy::kProtectionType);
    one.may_grow_down = one.may_grow_down || (seal.may_grow_down && one.protection);
    if (seal.attachment != Seal::kNotAttached &&
        std::ranges::find(one.attachments, seal.attachment) == one.attachments.end())
      one.attachments.push_back(seal.attachment);
  }
  return one;
}

// The types of seals that one call makes.
inline policy::SealTypes random_types(Random& random) {
  return one_in(random, 4) ? policy::kBaseType : policy::kWholeSeal;
}

inline Case random_case(Random& random, std::size_t count, policy::SealTypes types = policy::kWholeSeal) {
  std::vector<Seal> seals;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t start = random_page(random);
    const Seal seal{Range::of(start, (1 + below(random, 5)) * kPage), one_in(random, 2), one_in(random, 4),
                    types,
                    one_in(random, 4)   ? start
                    : one_in(random, 8) ? 0
                                        : Seal::kNotAttached};
    REQUIRE(policy::add_seal(seals, seal, 4096));
  }
  Case one = case_of(std::move(seals));
  if (one_in(random, 2)) {
    const std::uint64_t floor = random_page(random);
    const Seal sealed{Range::of(floor + below(random, 30) * kPage, kPage)};
    one.refused_breaks = policy::refused_breaks({&sealed, 1}, floor, ~0ULL, kPage);
  }
  return one;
}

inline std::uint64_t random_address(Random& random, const Case& one) {
  std::uint64_t address = random_page(random);
  if (!one.ranges.empty() && !one_in(random, 4)) {
    const Range& range = one.ranges[below(random, one.ranges.size())];
    address = (one_in(random, 2) ? range.start : range.end) + (below(random, 9) - 4) * kPage;
  }
  switch (below(random, 20)) {
    case 0:
      return address + 1 + below(random, kPage - 1);
    case 1:
      return address | (below(random, 64) << 57);
    case 2:
      return random();
    case 3:
      return -below(random, 4) * kPage;
    case 4:
      return policy::round_down(address, 2U << 20);
    case 5:
      return policy::round_down(address, 1U << 30);
    default:
      return address;
  }
}

inline std::uint64_t random_length(Random& random) {
  switch (below(random, 16)) {
    case 0:
      return 0;
    case 1:
      return random();
    case 2:
      return -below(random, 3 * kPage);
    case 3:
      return 0x1'0000'0000 + below(random, 4) * kPage;
    case 4:
      return 0xFFFF'F000 + below(random, 2 * kPage);
    case 5:
      return below(random, 0x8000'0000'0000);
    case 6:
      return 1;
    case 7:
      return (1 + below(random, 4)) * (64U << 10);
    case 8:
      return (1 + below(random, 4)) * (2U << 20);
    case 9:
      return (1 + below(random, 2)) * (1U << 30);
    default:
      return below(random, 10 * kPage);
  }
}

inline std::uint64_t random_break(Random& random, const Case& one) {
  const Range& refused = one.refused_breaks;
  switch (below(random, 4)) {
    case 0:
      return refused.start + below(random, 3) - 1;
    case 1:
      return refused.end + below(random, 3) - 1;
    case 2:
      return refused.start + below(random, 40 * kPage);
    default:
      return random_address(random, one);
  }
}

inline std::uint64_t random_attachment(Random& random, const Case& one) {
  if (one.attachments.empty() || one_in(random, 2)) return random_address(random, one);
  return one.attachments[below(random, one.attachments.size())];
}

inline Arguments random_arguments(Random& random, const Case& one, Call call) {
  const auto flag = [&](std::uint32_t bit, std::uint64_t rarity = 2) {
    return one_in(random, rarity) ? bit : 0;
  };
  Arguments a{};
  for (auto& argument : a) argument = one_in(random, 3) ? random() : below(random, 64);
  a[0] = random_address(random, one);
  a[1] = random_length(random);
  switch (call) {
    case Call::mmap:
      a[3] = 2U | flag(policy::kMapFixed) | flag(policy::kMapFixedNoreplace, 8) |
             flag(policy::kMapAnonymous) | flag(policy::kMapHugetlb, 8);
      break;
    case Call::mprotect:
      a[2] = below(random, 8) | flag(policy::kProtGrowsDown, 4) | flag(policy::kProtGrowsUp, 16);
      break;
    case Call::mremap:
      a[3] = below(random, 8);
      a[2] = random_length(random);
      a[4] = random_address(random, one);
      break;
    case Call::madvise:
      a[2] = one_in(random, 2) ? policy::kDiscardingAdvice[below(random, policy::kDiscardingAdvice.size())]
                               : below(random, 110);
      break;
    case Call::brk:
      a[0] = random_break(random, one);
      break;
    case Call::shmat:
      a[2] = flag(policy::kShmRemap);
      break;
    case Call::shmdt:
      a[0] = random_attachment(random, one);
      break;
    case Call::shmget:
      a[2] = flag(policy::kShmHugetlb);
      break;
    case Call::ipc:
      a[0] = (20 + below(random, 5)) | (flag(1, 4) << 16);
      a[2] = flag(policy::kShmRemap);
      a[3] = flag(policy::kShmHugetlb);
      a[4] = random_attachment(random, one);
      break;
    default:
      break;
  }
  return a;
}

struct Sample {
  const Abi* abi;
  std::uint32_t number;
  Arguments arguments;  // as they stand in the registers
  MmCall call;

  [[nodiscard]] seccomp_data data() const {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = abi->audit_arch;
    std::ranges::copy(arguments, data.args);
    return data;
  }
  // What the kernel reads of the argument.
  [[nodiscard]] std::uint64_t read(std::size_t index) const { return arguments[index] & abi->argument_mask; }
};

inline Sample sample_of(const Machine& machine, const Abi& abi, std::uint32_t number,
                        const Arguments& arguments) {
  return {&abi, number, arguments, decode(machine, abi, number, arguments)};
}

inline Sample random_sample(Random& random, const Machine& machine, const Case& one) {
  const Abi& abi = machine.abis[below(random, machine.abis.size())];
  const policy::CallNumber& entry = abi.calls[below(random, abi.calls.size())];
  Arguments arguments = random_arguments(random, one, entry.call);
  // Garbage where the kernel does not look: of flags in every ABI, of everything where registers are short.
  const auto spoil = [&](std::uint64_t& argument) {
    if (one_in(random, 3)) argument = (argument & 0xFFFF'FFFF) | random() << 32;
  };
  if (abi.has_short_arguments()) {
    std::ranges::for_each(arguments, spoil);
  } else if (entry.call == Call::mmap || entry.call == Call::mremap) {
    spoil(arguments[3]);
  } else if (entry.call == Call::madvise) {
    spoil(arguments[2]);
  }
  return sample_of(machine, abi, entry.number, arguments);
}

inline std::string describe(const Sample& sample, std::uint32_t action) {
  std::ostringstream text;
  text << std::hex << "arch " << sample.abi->audit_arch << std::dec << " nr " << sample.number << " ("
       << policy::name_of(sample.call.call) << ")" << std::hex;
  for (const std::uint64_t argument : sample.arguments) text << " 0x" << argument;
  text << ": 0x" << action;
  return text.str();
}

}  // namespace libmseal::tests
