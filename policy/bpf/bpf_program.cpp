#include "policy/bpf/bpf_program.h"

namespace libmseal::policy {
namespace {

constexpr std::uint32_t kLongestBranch = 255;

}  // namespace

BpfProgram::Label BpfProgram::emit(std::uint16_t code, std::uint32_t k, std::uint8_t jt, std::uint8_t jf) {
  if (size_ == code_.size()) {
    overflow_ = true;
    return size_;
  }
  ++size_;
  code_[code_.size() - size_] = sock_filter{code, jt, jf, k};
  return size_;
}

BpfProgram::Label BpfProgram::jump(Label target) {
  return target == size_ ? target : emit(BPF_JMP | BPF_JA, size_ - target);
}

BpfProgram::Label BpfProgram::within_reach(Label target, std::uint32_t reach) {
  if (size_ - target <= reach) return target;
  Bridge* oldest = &bridges_[0];
  for (Bridge& bridge : bridges_) {
    if (bridge.target == target && bridge.at != 0 && size_ - bridge.at <= reach) return bridge.at;
    if (bridge.at < oldest->at) oldest = &bridge;
  }
  *oldest = {target, jump(target)};
  return oldest->at;
}

BpfProgram::Label BpfProgram::emit_branch(std::uint16_t code, std::uint32_t k, Label yes, Label no) {
  // The bridge for `no` may move it one instruction further away.
  yes = within_reach(yes, kLongestBranch - 1);
  no = within_reach(no, kLongestBranch);
  return emit(code, k, static_cast<std::uint8_t>(size_ - yes), static_cast<std::uint8_t>(size_ - no));
}

BpfProgram::Label BpfProgram::branch(std::uint16_t condition, std::uint32_t value, Label yes, Label no) {
  return emit_branch(static_cast<std::uint16_t>(BPF_JMP | condition | BPF_K), value, yes, no);
}

BpfProgram::Label BpfProgram::branch_x(std::uint16_t condition, Label yes, Label no) {
  return emit_branch(static_cast<std::uint16_t>(BPF_JMP | condition | BPF_X), 0, yes, no);
}

}  // namespace libmseal::policy
