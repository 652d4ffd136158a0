// A program that the build runs. It writes compiled_rules.h: the rules as compiled by libseccomp, for every
// architecture.
#include <exception>

#include "policy/bpf/blocked_calls.h"
#include "policy/bpf/libseccomp_rules.h"

namespace libmseal::policy {
namespace {

void write_table(std::FILE* file, const char* name, const SeccompAbis& abis,
                 const std::vector<SeccompRule>& rules) {
  const auto program = compile_rules(abis, rules, [](const SeccompRule& rule) -> std::uint32_t {
    return rule.bit == 0 ? SCMP_ACT_ERRNO(rule.error) : Placeholder{rule.bit, rule.error}.action();
  });
  std::fprintf(file, "inline constexpr sock_filter %s[] = {\n", name);
  for (const sock_filter& one : program)
    std::fprintf(file, "    {%#x, %d, %d, %#x},\n", one.code, one.jt, one.jf, one.k);
  std::fputs("};\n", file);
}

void write_tables(const char* path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "w"), std::fclose);
  if (!file) throw std::runtime_error(std::string(path) + ": " + std::strerror(errno));
  std::fputs("#pragma once\n\n#include <linux/filter.h>\n\nnamespace libmseal::policy {\n\n", file.get());
  write_table(file.get(), "kX86BlockedCalls", kSeccompX86, blocked_call_rules(kSeccompX86));
  write_table(file.get(), "kX86Hardening", kSeccompX86, hardening_rules());
  write_table(file.get(), "kArm64BlockedCalls", kSeccompArm64, blocked_call_rules(kSeccompArm64));
  write_table(file.get(), "kArm64Hardening", kSeccompArm64, hardening_rules());
  std::fputs("\n}  // namespace libmseal::policy\n", file.get());
  if (std::fflush(file.get()) != 0) throw std::runtime_error(std::string(path) + ": " + std::strerror(errno));
}

}  // namespace
}  // namespace libmseal::policy

int main(int count, char** arguments) {
  if (count != 2) return 2;
  try {
    libmseal::policy::write_tables(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compile_rules: %s\n", error.what());
    return 1;
  }
  return 0;
}
