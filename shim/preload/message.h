// The library's messages: one line each on standard error, written without stdio.
#pragma once

#include <string_view>

#include "policy/rules/fixed_vector.h"

namespace libmseal::shim {

// message() << "backend filters: " << reason << ...; the line is written when the object goes.
class Message {
 public:
  Message() { *this << "libmseal: "; }
  ~Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  Message& operator<<(std::string_view text);
  Message& operator<<(long number);

 private:
  policy::FixedVector<char, 512> line_;
};

// An error in words, with the limit or profile that may have caused it.
std::string_view text_of_error(long error);

// Ends the program with 127, the status that a shell gives for a program that could not be started.
[[noreturn]] void give_up();

// The same, with a message: something that an option requires is not there.
template <class Reason>
[[noreturn]] void refuse_to_start(std::string_view option, std::string_view value, const Reason& reason) {
  Message() << option << value << " cannot be met: " << reason << "; the program is not started";
  give_up();
}

}  // namespace libmseal::shim
