#pragma once
// Errors are exceptions that name the operation, the operands with shapes or values, and what to do.
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace kagami {

/// The message pieces, streamed one after another.
template <class... Parts>
std::string text(Parts&&... parts) {
  std::ostringstream stream;
  (stream << ... << std::forward<Parts>(parts));
  return stream.str();
}

/// The caller gave something unusable (a shape, an option, a file): programs print the line and exit with 2.
class InputError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Throws InputError with the streamed message unless `ok`.
template <class... Parts>
void check(bool ok, Parts&&... parts) {
  if (!ok) [[unlikely]]
    throw InputError(text(std::forward<Parts>(parts)...));
}

}  // namespace kagami
