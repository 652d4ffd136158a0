#include "shim/supervisor/handover.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "policy/protocol/control.h"
#include "shim/common/descriptor_message.h"

namespace libmseal::supervisor {
namespace {

using policy::kHandoverSocket;

constexpr std::size_t kMostBytes = std::size_t{1} << 18;

// `table`: -1 if there is none.
bool send_ready(policy::Trouble trouble, int error, int table) {
  policy::Ready ready;
  ready.trouble = trouble;
  ready.error = error;
  iovec part{&ready, sizeof ready};
  shim::DescriptorMessage message({&part, 1});
  return sendmsg(kHandoverSocket, message.with(table), MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof ready);
}

template <class T>
std::vector<T> take(const char*& from, std::uint32_t count) {
  std::vector<T> items(count);
  if (count != 0) std::memcpy(items.data(), from, count * sizeof(T));
  from += count * sizeof(T);
  return items;
}

}  // namespace

bool started_by_library() {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(kHandoverSocket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

pid_t peer() {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return getsockopt(kHandoverSocket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

void report_trouble(policy::Trouble trouble, int error, int table) {
  (void)send_ready(trouble, error, table);
}

std::optional<Handover> receive_handover(int table) {
  if (!send_ready(policy::Trouble::none, 0, table)) return std::nullopt;

  std::vector<char> buffer(kMostBytes);
  iovec part{buffer.data(), buffer.size()};
  shim::DescriptorMessage message({&part, 1});
  const ssize_t got = recvmsg(kHandoverSocket, message.to_receive(), MSG_CMSG_CLOEXEC);
  policy::Start start;
  if (got < static_cast<ssize_t>(sizeof start)) return std::nullopt;
  std::memcpy(&start, buffer.data(), sizeof start);
  const std::size_t expected = sizeof start + std::size_t{start.seals} * sizeof(policy::Seal) +
                               std::size_t{start.watched} * sizeof(policy::Range) + start.options;
  const bool valid = start.magic == policy::kControlMagic && start.version == policy::kLayoutVersion &&
                     expected == static_cast<std::size_t>(got) && start.filtered <= start.seals &&
                     (message.descriptor() >= 0) == (start.by_ptrace == 0);
  if (!valid) return std::nullopt;

  Handover handover;
  handover.process = peer();
  if (handover.process == 0) return std::nullopt;
  handover.listener = message.descriptor();
  const char* from = buffer.data() + sizeof start;
  handover.seals = take<policy::Seal>(from, start.seals);
  handover.filtered = start.filtered;
  handover.watched = take<policy::Range>(from, start.watched);
  handover.sealed_area = start.sealed_area;
  handover.ran_before_filter = start.ran_before_filter != 0;
  handover.has_own_memory = start.has_own_memory != 0;
  handover.may_be_subreaper = start.may_be_subreaper != 0;
  handover.options.assign(from, start.options);
  return handover;
}

void acknowledge(const policy::Serving& answer) {
  (void)!write(kHandoverSocket, &answer, sizeof answer);  // SIGPIPE is ignored
  close(kHandoverSocket);
}

}  // namespace libmseal::supervisor
