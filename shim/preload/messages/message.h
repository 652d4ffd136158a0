// The library's messages: one line each on standard error, written without stdio.
#pragma once

#include <string_view>

#include "policy/rules/fixed_vector.h"
#include "shim/common/no_copy.h"

namespace libmseal::shim {

// Message() << "backend filters: " << reason << ...; the destructor writes the line.
class Message : NoCopy {
 public:
  Message() { *this << "libmseal: "; }
  ~Message();

  Message& operator<<(std::string_view text);
  Message& operator<<(long number);

 private:
  policy::FixedVector<char, 512> line_;
};

// For a program whose own filter kills callers of write(2), or of the system calls by which the text of an
// error is found.
void restrict_messages(bool silent, bool asks_nothing);

// An error in words, with the limit or profile that may have caused it.
struct ErrorText {
  long error;  // an errno, or -errno
};
Message& operator<<(Message& message, ErrorText shown);

// Why something failed: "what (file), error text".
struct Reason {
  std::string_view what{};     // empty: it did not fail
  long error = 0;              // 0: there is no errno
  std::string_view subject{};  // the file concerned, if any

  [[nodiscard]] bool none() const { return what.empty(); }
};
Message& operator<<(Message& message, const Reason& reason);

// Ends the program with status 127, as a shell does for a program that could not be started.
[[noreturn]] void end_program();

// The same, with a message: an option's requirement is not met.
template <class Cause>
[[noreturn]] void refuse_to_start(std::string_view option, std::string_view value, const Cause& cause) {
  Message() << option << value << " cannot be met: " << cause << "; the program is not started";
  end_program();
}

}  // namespace libmseal::shim
