#include "policy/configuration/options.h"

#include <array>
#include <span>

namespace libmseal::policy {
namespace {

struct Word {
  std::string_view text;
  int value;
};

constexpr auto kBackends = std::to_array<Word>({
    {"auto", static_cast<int>(Backend::automatic)},
    {"kernel", static_cast<int>(Backend::kernel)},
    {"supervised", static_cast<int>(Backend::supervised)},
    {"filters", static_cast<int>(Backend::filters)},
    {"libc", static_cast<int>(Backend::libc)},
    // Older names.
    {"seccomp", static_cast<int>(Backend::supervised)},
    {"filter", static_cast<int>(Backend::filters)},
});
constexpr auto kRequired = std::span(kBackends).subspan<1>();
constexpr auto kAuto = std::to_array<Word>({
    {"off", static_cast<int>(AutoSeal::off)},
    {"marked", static_cast<int>(AutoSeal::marked)},
    {"elf", static_cast<int>(AutoSeal::elf)},
    {"data", static_cast<int>(AutoSeal::data)},
});
constexpr auto kLate = std::to_array<Word>({
    {"off", static_cast<int>(LateSeal::off)},
    {"nodelete", static_cast<int>(LateSeal::nodelete)},
    {"all", static_cast<int>(LateSeal::all)},
});
constexpr auto kSwitch = std::to_array<Word>({{"0", 0}, {"1", 1}});
constexpr auto kCoverages = std::to_array<Word>({{"fast", 0}, {"all", 1}});
constexpr auto kModes = std::to_array<Word>({{"enforce", 0}, {"audit", 1}});
constexpr auto kScopes = std::to_array<Word>({{"tree", 0}, {"process", 1}});
constexpr auto kSealable = std::to_array<Word>({{"optional", 0}, {"required", 1}});
constexpr auto kDiscard = std::to_array<Word>({
    {"strict", static_cast<int>(DiscardRule::strict)},
    {"kernel", static_cast<int>(DiscardRule::kernel)},
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

bool find(std::span<const Word> words, std::string_view text, int& value) {
  for (const Word& word : words) {
    if (word.text != text) continue;
    value = word.value;
    return true;
  }
  return false;
}

// "word+word" to the bits of the words.
bool parse_bits(std::span<const Word> words, std::string_view text, std::uint16_t& bits) {
  int all = 0;
  while (true) {
    const std::size_t plus = text.find('+');
    std::string_view name = text;
    if (plus != std::string_view::npos) name.remove_suffix(name.size() - plus);
    int bit = 0;
    if (!find(words, name, bit)) return false;
    all |= bit;
    if (plus == std::string_view::npos) break;
    text.remove_prefix(plus + 1);
  }
  bits = static_cast<std::uint16_t>(all);
  return true;
}

}  // namespace

std::string_view option_keys() {
  return kKeys;
}

std::string_view name_of(Backend backend) {
  for (const Word& word : kBackends) {
    if (word.value == static_cast<int>(backend)) return word.text;
  }
  return "?";
}

bool parse_option(std::string_view item, Options& options, OptionError& error) {
  std::string_view key = item;
  std::string_view value;
  if (const std::size_t equals = item.find('='); equals != std::string_view::npos) {
    key.remove_suffix(item.size() - equals);
    value = item;
    value.remove_prefix(equals + 1);
  }
  int word = 0;
  const auto wrong = [&](std::string_view allowed) {
    error = {key, value, allowed, allowed.data() == kKeys.data()};
    return false;
  };
  if (key == "backend") {
    if (!find(kBackends, value, word)) return wrong("auto, kernel, supervised, filters, libc");
    options.backend = static_cast<Backend>(word);
  } else if (key == "require") {
    if (!find(kRequired, value, word)) return wrong("kernel, supervised, filters, libc");
    options.require = static_cast<Backend>(word);
  } else if (key == "auto") {
    if (!find(kAuto, value, word)) return wrong("off, marked, elf, data");
    options.auto_seal = static_cast<AutoSeal>(word);
  } else if (key == "late") {
    if (!find(kLate, value, word)) return wrong("off, nodelete, all");
    options.late_seal = static_cast<LateSeal>(word);
  } else if (key == "coverage") {
    if (!find(kCoverages, value, word)) return wrong("fast, all");
    options.covers_all = word != 0;
  } else if (key == "mode") {
    if (!find(kModes, value, word)) return wrong("enforce, audit");
    options.audit = word != 0;
  } else if (key == "scope") {
    if (!find(kScopes, value, word)) return wrong("tree, process");
    options.one_process = word != 0;
  } else if (key == "discard") {
    if (!find(kDiscard, value, word)) return wrong("strict, kernel");
    options.discard = static_cast<DiscardRule>(word);
    options.discard_given = true;
  } else if (key == "sealable") {
    if (!find(kSealable, value, word)) return wrong("optional, required");
    options.sealable_required = word != 0;
  } else if (key == "open") {
    if (!parse_bits(kBlockedCalls, value, options.open_calls)) {
      return wrong(
          "io_uring, process_madvise, prctl_mm, tagged_addresses, clone3, hugetlb_files, shm_remap, "
          "old_mmap, "
          "uselib, io_destroy, shadow_stack, joined by +");
    }
  } else if (key == "harden") {
    if (!parse_bits(kHardenings, value, options.harden)) {
      return wrong("ptrace, process_vm_writev, userfaultfd, proc_mem, joined by +");
    }
  } else if (key == "strict") {
    if (!find(kSwitch, value, word)) return wrong("0, 1");
    options.strict = word != 0;
  } else if (key == "verbose") {
    if (!find(kSwitch, value, word)) return wrong("0, 1");
    options.verbose = word != 0;
  } else if (key == "log") {
    if (!value.starts_with('/') && value != "stderr" && value != "syslog")
      return wrong("an absolute path, stderr, syslog");
    options.log = value;
  } else if (key == "events") {
    if (!value.starts_with('/')) return wrong("an absolute path");
    options.events = value;
  } else if (key == "vdso") {
    if (!find(kSwitch, value, word)) return wrong("0, 1");
    options.vdso = word != 0;
  } else if (key == "skip") {
    if (value.empty()) return wrong("patterns of file names (* ? [a-z]), joined by :");
    options.skip = value;
  } else if (key == "mutable") {
    if (value.empty()) return wrong("patterns of file names (* ? [a-z]), joined by :");
    options.mutable_data = value;
  } else if (key == "policy") {
    if (!value.starts_with('/') && value != "none") return wrong("an absolute path, none");
    options.policy = value;
  } else if (key == "supervisor" || key == "helper") {
    if (!value.starts_with('/')) return wrong("an absolute path");
    options.supervisor = value;
  } else {
    return wrong(kKeys);
  }
  return true;
}

}  // namespace libmseal::policy
