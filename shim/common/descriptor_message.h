// A socket message that carries one descriptor, or none.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <span>

#include "shim/common/no_copy.h"

namespace libmseal::shim {

class DescriptorMessage : NoCopy {
 public:
  explicit DescriptorMessage(std::span<iovec> parts) {
    header_.msg_iov = parts.data();
    header_.msg_iovlen = parts.size();
    header_.msg_control = control_.data();
    header_.msg_controllen = control_.size();
  }

  // For sendmsg. A negative number is no descriptor.
  const msghdr* with(int descriptor) {
    if (descriptor < 0) {
      header_.msg_control = nullptr;
      header_.msg_controllen = 0;
      return &header_;
    }
    cmsghdr* const attached = CMSG_FIRSTHDR(&header_);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(attached), &descriptor, sizeof descriptor);
    return &header_;
  }

  // For recvmsg.
  msghdr* to_receive() { return &header_; }
  // The received descriptor; -1 if there was none.
  [[nodiscard]] int descriptor() const {
    int descriptor = -1;
    const cmsghdr* const attached = CMSG_FIRSTHDR(&header_);
    if (attached != nullptr && attached->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&descriptor, CMSG_DATA(attached), sizeof descriptor);
    }
    return descriptor;
  }

 private:
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control_{};
  msghdr header_{};
};

}  // namespace libmseal::shim
