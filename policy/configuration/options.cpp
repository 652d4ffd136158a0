#include "policy/configuration/options.h"

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

namespace libmseal::policy {
namespace {

struct Word {
  template <class Value>
  constexpr Word(std::string_view word, Value meaning) : text(word), value(static_cast<int>(meaning)) {}

  std::string_view text;
  int value;
};

constexpr auto kBackends = std::to_array<Word>({
    {"auto", Backend::automatic},
    {"kernel", Backend::kernel},
    {"supervised", Backend::supervised},
    {"filters", Backend::filters},
    {"libc", Backend::libc},
    // Older names.
    {"seccomp", Backend::supervised},
    {"filter", Backend::filters},
});
constexpr auto kRequired = std::span(kBackends).subspan<1>();
constexpr auto kAuto = std::to_array<Word>({
    {"off", AutoSeal::off},
    {"marked", AutoSeal::marked},
    {"elf", AutoSeal::elf},
    {"data", AutoSeal::data},
});
constexpr auto kLate = std::to_array<Word>({
    {"off", LateSeal::off},
    {"nodelete", LateSeal::nodelete},
    {"all", LateSeal::all},
});
constexpr auto kSwitch = std::to_array<Word>({{"0", 0}, {"1", 1}});
constexpr auto kCoverages = std::to_array<Word>({{"fast", 0}, {"all", 1}});
constexpr auto kModes = std::to_array<Word>({{"enforce", 0}, {"audit", 1}});
constexpr auto kScopes = std::to_array<Word>({{"tree", 0}, {"process", 1}});
constexpr auto kSealable = std::to_array<Word>({{"optional", 0}, {"required", 1}});
constexpr auto kDiscard = std::to_array<Word>({
    {"strict", DiscardRule::strict},
    {"kernel", DiscardRule::kernel},
});
constexpr auto kBlockedCalls = std::to_array<Word>({
    {"io_uring", kBlockedIoUring},
    {"process_madvise", kBlockedProcessMadvise},
    {"prctl_mm", kBlockedPrctlMm},
    {"tagged_addresses", kBlockedTaggedAddresses},
    {"clone3", kBlockedClone3},
    {"hugetlb_files", kBlockedHugetlbFiles},
    {"shm_remap", kBlockedShmRemap},
    {"old_mmap", kBlockedOldMmap},
    {"uselib", kBlockedUselib},
    {"io_destroy", kBlockedIoDestroy},
    {"shadow_stack", kBlockedShadowStack},
});

constexpr auto kHardenings = std::to_array<Word>({
    {"ptrace", kHardenPtrace},
    {"process_vm_writev", kHardenProcessVmWritev},
    {"userfaultfd", kHardenUserfaultfd},
    {"proc_mem", kHardenProcMem},
});

constexpr std::string_view kKeys =
    "keys are backend, mode, require, auto, late, vdso, skip, mutable, coverage, scope, discard, sealable, "
    "open, harden, policy, strict, verbose, log, events, supervisor";

// "word+word" to the bits of the words.
bool parse_bits(std::span<const Word> words, std::string_view text, std::uint16_t& bits) {
  int all = 0;
  while (true) {
    const std::size_t plus = text.find('+');
    const std::string_view name(text.data(), std::min(plus, text.size()));
    const auto word = std::ranges::find(words, name, &Word::text);
    if (word == words.end()) return false;
    all |= word->value;
    if (plus == std::string_view::npos) break;
    text.remove_prefix(plus + 1);
  }
  bits = static_cast<std::uint16_t>(all);
  return true;
}

}  // namespace

std::string_view name_of(Backend backend) {
  const auto* const word = std::ranges::find(kBackends, static_cast<int>(backend), &Word::value);
  return word != kBackends.end() ? word->text : "?";
}

BindingOption binding_option(const Options& options) {
  if (options.require != Backend::automatic) return {"require=", name_of(options.require)};
  if (options.harden != 0) return {"harden=", ""};
  if (options.strict) return {"strict=", "1"};
  if (options.audit) return {"mode=", "audit"};
  return {};
}

bool parse_option(std::string_view item, Options& options, OptionError& error) {
  std::string_view value = item;
  const std::string_view key = take_until(value, '=');
  const auto wrong = [&](std::string_view allowed) {
    error = {key, value, allowed, allowed.data() == kKeys.data()};
    return false;
  };
  const auto choose = [&](std::span<const Word> words, std::string_view allowed, auto& field) {
    const auto word = std::ranges::find(words, value, &Word::text);
    if (word == words.end()) return wrong(allowed);
    field = static_cast<std::remove_reference_t<decltype(field)>>(word->value);
    return true;
  };
  const auto choose_bits = [&](std::span<const Word> words, std::string_view allowed, std::uint16_t& bits) {
    return parse_bits(words, value, bits) || wrong(allowed);
  };
  const auto take = [&](bool good, std::string_view allowed, std::string_view& field) {
    if (!good) return wrong(allowed);
    field = value;
    return true;
  };
  const bool is_path = value.starts_with('/');
  constexpr std::string_view kPatterns = "patterns of file names (* ? [a-z]), joined by :";

  if (key == "backend") return choose(kBackends, "auto, kernel, supervised, filters, libc", options.backend);
  if (key == "require") return choose(kRequired, "kernel, supervised, filters, libc", options.require);
  if (key == "auto") return choose(kAuto, "off, marked, elf, data", options.auto_seal);
  if (key == "late") return choose(kLate, "off, nodelete, all", options.late_seal);
  if (key == "coverage") return choose(kCoverages, "fast, all", options.covers_all);
  if (key == "mode") return choose(kModes, "enforce, audit", options.audit);
  if (key == "scope") return choose(kScopes, "tree, process", options.one_process);
  if (key == "discard") {
    if (!choose(kDiscard, "strict, kernel", options.discard)) return false;
    options.discard_given = true;
    return true;
  }
  if (key == "sealable") return choose(kSealable, "optional, required", options.sealable_required);
  if (key == "open") {
    return choose_bits(kBlockedCalls,
                       "io_uring, process_madvise, prctl_mm, tagged_addresses, clone3, hugetlb_files, "
                       "shm_remap, old_mmap, uselib, io_destroy, shadow_stack, joined by +",
                       options.open_calls);
  }
  if (key == "harden") {
    return choose_bits(kHardenings, "ptrace, process_vm_writev, userfaultfd, proc_mem, joined by +",
                       options.harden);
  }
  if (key == "strict") return choose(kSwitch, "0, 1", options.strict);
  if (key == "verbose") return choose(kSwitch, "0, 1", options.verbose);
  if (key == "vdso") return choose(kSwitch, "0, 1", options.vdso);
  if (key == "log") {
    return take(is_path || value == "stderr" || value == "syslog", "an absolute path, stderr, syslog",
                options.log);
  }
  if (key == "events") return take(is_path, "an absolute path", options.events);
  if (key == "skip") return take(!value.empty(), kPatterns, options.skip);
  if (key == "mutable") return take(!value.empty(), kPatterns, options.mutable_data);
  if (key == "policy") return take(is_path || value == "none", "an absolute path, none", options.policy);
  if (key == "supervisor") return take(is_path, "an absolute path", options.supervisor);
  return wrong(kKeys);
}

}  // namespace libmseal::policy
